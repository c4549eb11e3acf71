"""The provider openstack in a process of its own, so that its processor time and memory are its own: ``create`` or ``plan``.

Run by ``openstack_servers.py`` with the verb, a folder for site and state, and how many servers; the last line is what it found, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from _openstack import ADMINS, DATA_GIB, EXTERNAL, FLAVOR, IMAGE, NAME, REPOSITORY

from cantiere.machines import ready
from cantiere.machines.apply import Apply
from cantiere.machines.fleet import Fleet
from cantiere.machines.plan import build
from cantiere.machines.ssh import Ssh
from cantiere.plan.definition import Stage, Step
from cantiere.plan.walk import Report, walk
from cantiere.state import StateStore
from cantiere.workspace import open_site

TOLD_SECONDS = 30.0
TEMPLATE = f"""\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {{template_name: servers}}
imports: [{REPOSITORY}/tosca/types/common.yaml]
topology_template:
  node_templates:
    worker:
      type: cantiere.nodes.MachinePool
      properties: {{count: %d, roles: [squid]}}
"""
SITE: dict[str, Any] = {
    "plugin": "cantiere",
    "site": "bench",
    "template": "template.yaml",
    "platform": "kubernetes",
    "provider": {
        "type": "openstack",
        "cloud": NAME,
        "network": {"subnet": "10.40.0.0/20", "external": EXTERNAL},
        "image": IMAGE,
        "flavors": [FLAVOR],
        "floating_ips": "none",
        "admin_cidrs": [ADMINS],
        "data_volumes": {"worker": {"size": DATA_GIB}},
    },
    "kubernetes": {},
}


def fleet(folder: Path, number: int) -> Fleet:
    """A facility of that many machines on a site of its own."""
    (folder / "template.yaml").write_text(TEMPLATE % number, encoding="utf-8")
    (folder / "cantiere.yml").write_text(yaml.safe_dump({**SITE, "state_dir": str(folder / "state")}), encoding="utf-8")
    found = open_site(str(folder / "cantiere.yml"), None, {}, None).fleet
    assert found
    return found


def create(made: Fleet) -> None:
    """All servers from nothing to ACTIVE, as ``up`` makes them."""
    ready.check(made)
    store, log = StateStore(made.site.state_dir), lambda line: None
    wanted, seen = made.observe()
    work = Apply(made, store, store.save(store.new("bench")), wanted.machines, seen, log)
    walk(build(wanted, seen).part(Stage.PROVIDER), work, made.provider.at_once, progress())


def progress() -> Report:
    """Tells on the error output how many steps are done, every half minute."""
    begin, done, told = time.monotonic(), 0, 0.0

    def report(event: str, _step: Step, _number: int, number: int, _seconds: float) -> None:
        nonlocal done, told
        done, seconds = done + (event == "ok"), time.monotonic() - begin
        if seconds > told + TOLD_SECONDS:
            told = seconds
            print(f"  {done} of {number} steps after {seconds:.0f} s", file=sys.stderr, flush=True)

    return report


def plan(made: Fleet) -> None:
    """The plan where all servers are there: nothing to do for the provider."""
    ready.check(made)
    wanted, seen = made.observe()
    steps = build(wanted, seen).part(Stage.PROVIDER).steps
    whole = [name for name, one in seen.machines.items() if one.address and one.detail["volumes"] == {"data": DATA_GIB}]
    if steps or len(whole) != len(wanted.machines):
        raise SystemExit(f"{len(whole)} machines with port and volume, and still to do: {', '.join(map(str, steps))}")


def answered(_ssh: Ssh, _name: str, _command: str, **_given: Any) -> subprocess.CompletedProcess[str]:
    """Records answer no SSH: what the provider waits for there is taken as given."""
    return subprocess.CompletedProcess([], 0, "", "")


def main() -> None:
    """Do it, and tell how many calls it took."""
    verbs: dict[str, Callable[[Fleet], None]] = {"create": create, "plan": plan}
    Ssh.run = answered  # type: ignore[assignment, method-assign]
    made, calls = fleet(Path(sys.argv[2]), int(sys.argv[3])), list[str]()
    hooks: Any = made.provider.cloud.connection.session
    hooks.session.hooks["response"].append(lambda answer, **given: calls.append(answer.request.method))
    begin = time.monotonic()
    verbs[sys.argv[1]](made)
    print(json.dumps({"seconds": time.monotonic() - begin, "calls": len(calls)}))


if __name__ == "__main__":
    main()
