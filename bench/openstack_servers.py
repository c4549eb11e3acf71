"""OpenStack: servers from nothing to ACTIVE, against openstack.cloud in a loop and OpenTofu, and a plan of a thousand without a change.

``./cantiere test --system --full openstack_servers`` runs it as ``openstack_servers.py --servers 20 100 1000 --peers 100``: ``--servers``
tells how many, one number after the other; ``--peers`` up to how many are made by the others too; ``--loop`` how many of them the loop
makes: its time is that of one after the other, so a few tell the rest. Without them, as in CI, only the provider is measured, with 20.
Servers are records of the test bed (nova's fake driver), each with a port and a volume; waiting for their log-in is left out. The plan
is made on the bed, and again where recorded answers stand for a thousand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from _openstack import Used, active, bed, empty, measured, processor, project
from _openstack_peers import Missing, modules, tofu
from _recorded import recorded

PROVIDER = Path(__file__).with_name("_openstack_provider.py")
FASTER, WITHIN = 5.0, 1.1
PLAN_SECONDS, MANY = 10.0, 1000


def told(name: str, used: Used, cloud: float, more: str = "") -> None:
    """Print what somebody took."""
    figures = f"{used.seconds:8.1f} s {used.processor:8.1f} s {used.memory / 2**20:8.0f} MiB"
    print(f"{name:<36}{figures} {cloud:8.1f} s   {more}", flush=True)


def met(kept: bool) -> str:
    return "met" if kept else "MISSED"


def run(verb: str, folder: Path, number: int) -> Used:
    """The provider in a process of its own."""
    return measured([sys.executable, PROVIDER, verb, folder, str(number)], folder, progress=True)


def calls(used: Used) -> str:
    return f"{json.loads(used.output.splitlines()[-1])['calls']} calls"


def raised(
    link: Any, clouds: str, name: str, number: int, make: Callable[[], Used], more: Callable[[Used], str] | None = None
) -> Used | None:
    """Servers made by somebody, and what that took; None where it cannot be had here."""
    before = processor(clouds)
    try:
        used = make()
    except Missing as error:
        print(f"{name:<36}skipped: {error}", flush=True)
        return None
    cloud, found = processor(clouds) - before, active(link)
    if found != number:
        raise SystemExit(f"{name}: {found} of {number} servers are active with port and volume")
    told(name, used, cloud, more(used) if more else "")
    return used


def plan_of_many(folder: Path) -> Used:
    """The plan where recorded answers stand for many servers: the second one, when all answers are recorded."""
    file = Path(os.environ["OS_CLIENT_CONFIG_FILE"])
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    [(name, cloud)] = given["clouds"].items()
    address = urlsplit(cloud["auth"]["auth_url"])
    with recorded(str(address.hostname), MANY) as here:
        moved = {**cloud, "auth": {**cloud["auth"], "auth_url": f"{here}/{address.port}{address.path}"}}
        other = folder / "recorded.yaml"
        other.touch(0o600)
        other.write_text(yaml.safe_dump({"clouds": {name: moved}}), encoding="utf-8")
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(other)
        try:
            run("plan", folder, MANY)
            return run("plan", folder, MANY)
        finally:
            os.environ["OS_CLIENT_CONFIG_FILE"] = str(file)


def compared(link: Any, clouds: str, folder: Path, ours: Used, number: int, loop: int) -> None:
    """The same servers by the others, against what the provider took."""
    empty(link)
    other = raised(link, clouds, "OpenTofu", number, lambda: tofu(folder, number))
    empty(link)
    if other:
        ratio, share = ours.seconds / other.seconds, ours.processor / other.processor
        print(f"  wall {ratio:.2f} of OpenTofu's, measure {WITHIN:g}   {met(ratio <= WITHIN)}")
        print(f"  processor {share:.2f} of OpenTofu's, measure below 1   {met(share < 1)}", flush=True)
    slow = raised(link, clouds, f"openstack.cloud in a loop, {loop}", loop, lambda: modules(folder, loop))
    if slow:
        ratio = (slow.seconds / loop) / (ours.seconds / number)
        print(f"  {ratio:.1f} times our time for each server, measure {FASTER:g}   {met(ratio >= FASTER)}", flush=True)


def figures(link: Any, clouds: str, folder: Path, number: int) -> Used:
    """What the provider takes for that many servers, and for the plan of them without a change."""
    print(f"{number} servers with a port and a volume each; load before {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    print(f"{'':<36}{'wall':>10} {'processor':>10} {'memory':>12} {'the cloud':>10}", flush=True)
    ours = raised(link, clouds, "provider openstack", number, lambda: run("create", folder, number), calls)
    assert ours
    before = processor(clouds)
    same = run("plan", folder, number)
    measure = f", measure {PLAN_SECONDS:g} s   {met(same.seconds <= PLAN_SECONDS)}" if number >= MANY else ""
    told("  plan without a change", same, processor(clouds) - before, calls(same) + measure)
    return ours


def main() -> int:
    """Print all figures against the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, nargs="+", default=[20])
    parser.add_argument(
        "--peers", type=int, default=0, help="up to how many are made by OpenTofu and by the modules of openstack.cloud too"
    )
    parser.add_argument("--loop", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cantiere-bench-") as name, bed(max(given.servers)) as (clouds, passes):
        for number in given.servers:
            folder = Path(name, str(number))
            folder.mkdir()
            with project(clouds, folder, kept=passes and number == given.servers[-1]) as link:
                ours = figures(link, clouds, folder, number)
                if number == given.servers[0]:
                    many = plan_of_many(folder)
                    measure = f"{calls(many)}, measure {PLAN_SECONDS:g} s   {met(many.seconds <= PLAN_SECONDS)}"
                    told(f"  of {MANY} from recorded answers", many, 0.0, measure)
                if number <= given.peers:
                    compared(link, clouds, folder, ours, number, min(given.loop, number))
    return 0


if __name__ == "__main__":
    sys.exit(main())
