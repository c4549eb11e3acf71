"""Converge: machines that are as they should be, beside a bare ping of them and beside one process for each machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES = (3, 30)
MEASURES = {3: 15.0, 30: 45.0}
TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: many-machines}
imports: [COMMON]
topology_template:
  inputs:
    machines: {type: integer, default: 1}
  node_templates:
    platform:
      type: cantiere.nodes.Platform
      requirements: [{machines: machine}]
    machine:
      type: cantiere.nodes.MachinePool
      properties: {count: {get_input: machines}, roles: []}
"""


def run(*command: str) -> tuple[float, str]:
    """Run a command that has to succeed; seconds, and what it printed."""
    began = time.monotonic()
    environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - began, done.stdout


def cantiere(verb: str, site: Path, *arguments: str) -> tuple[float, str]:
    return run(sys.executable, "-m", "cantiere", verb, "--site", str(site), *arguments)


def ansible(*arguments: str) -> tuple[float, str]:
    return run(str(Path(sys.executable).with_name(arguments[0])), *arguments[1:])


def measure(site: Path, size: int) -> None:
    """Raise so many machines, converge them again, and compare."""
    given = ("--input", f"machines={size}")
    first, _ = cantiere("up", site, *given, "--json")
    again, text = cantiere("up", site, *given, "--json")
    result = json.loads(text)
    changed = result["changed"] or result["steps"]
    os.environ["CANTIERE_REQUEST"] = json.dumps({"inputs": {"machines": size}})
    try:
        ping, _ = ansible("ansible", "machines", "-i", str(site), "-m", "ansible.builtin.ping", "--forks", "20")
        single = 0.0
        if size == SIZES[0]:
            play = site.parent / "one.yml"
            play.write_text("- {hosts: machines, gather_facts: false, roles: [base]}\n")
            single = sum(ansible("ansible-playbook", "-i", str(site), str(play), "--limit", f"machine-{n}")[0] for n in range(1, size + 1))
    finally:
        del os.environ["CANTIERE_REQUEST"]
    print(f"{size} machines: from nothing {first:.1f} s")
    met = "met" if again <= MEASURES[size] else "missed"
    print(
        f"  nothing to do: {again:.1f} s (measure {MEASURES[size]:.0f} s: {met}; {'SOMETHING CHANGED' if changed else 'nothing changed'})"
    )
    print(f"  floor, a bare ping of the same machines: {ping:.1f} s, so {again / ping:.2f} of it")
    if single:
        print(f"  one process for each machine and role: {single:.1f} s, so {single / again:.1f} times as long")
    if changed:
        sys.exit("a run without changes changed something")


def main(sizes: Sequence[int]) -> None:
    if os.geteuid():
        sys.exit("machines as system containers need root")
    with tempfile.TemporaryDirectory(prefix="cantiere-bench-") as folder:
        template, site = Path(folder) / "many.yaml", Path(folder) / "cantiere.yml"
        template.write_text(TEMPLATE.replace("COMMON", str(REPOSITORY / "tosca" / "types" / "common.yaml")))
        given = {
            "plugin": "cantiere",
            "site": "bench",
            "template": str(template),
            "platform": "kubernetes",
            "provider": {"type": "nspawn", "subnet": "10.139.0.0/24", "image": "machine"},
            "kubernetes": {"machine_networks": ["10.139.0.0/24"]},
            "state_dir": f"{folder}/state",
        }
        site.write_text(yaml.safe_dump(given))
        try:
            for size in sizes:
                measure(site, size)
        finally:
            cantiere("down", site)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or SIZES)
