"""How long the front end takes: ``facility.yaml``, and templates of 100 to 5,000 machines, beside its peers and the bare parser of YAML.

Run ``python bench/validate.py`` from the checkout. Every figure is one process from its start to its end, imports included: the CPU
seconds (user and system) of the fastest of some runs, and the most memory. ``--opera FOLDER`` names a virtual environment with
xOpera in it (``pip install --constraint <(echo 'cython<3') opera``).
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FACILITY = REPOSITORY / "tosca" / "templates" / "facility.yaml"
EVENTS = """\
import sys
from yaml._yaml import CParser
parser = CParser(open(sys.argv[1], "rb").read())
while parser.check_event():
    parser.get_event()
"""
PLAN = """\
import sys
from pathlib import Path
from cantiere.plan.definition import Action, Kind, Plan, Step, waiting_order
from cantiere.tosca.compile import load
facility = load(Path(sys.argv[1])).facility
after = {node.name: [f"machine/{name}" for names in node.requirements.values() for name in names] for node in facility.nodes}
steps = [Step(Kind.MACHINE, name, Action.CREATE, "it is not there", tuple(waits)) for name, waits in after.items()]
assert len(Plan(facility.name, waiting_order(steps)).steps) == len(facility.nodes)
"""
PARSER = "import sys; from toscaparser.tosca_template import ToscaTemplate; ToscaTemplate(sys.argv[1], {})"
SIZES = (100, 1000, 5000)
GOALS = {1000: (1.0, math.inf), 5000: (5.0, 400.0)}
"""Number of machines to the CPU seconds and MB that validating and planning may take."""


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU seconds and MB."""

    cpu: float
    memory: float


def cost(command: list[str], runs: int) -> Cost | None:
    """The least of some runs of a command; None where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    best = Cost(math.inf, math.inf)
    for _ in range(runs):
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            os.execve(command[0], command, environment)
        _, status, used = os.wait4(pid, 0)
        if status:
            return None
        best = min(best, Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), key=lambda found: found.cpu)
    return best


def python(program: str, path: Path, runs: int) -> Cost | None:
    """What a Python program takes for a template."""
    return cost([sys.executable, "-c", program, str(path)], runs)


def show(what: str, found: Cost | None, against: Cost | None = None) -> None:
    """Print one line; the ratio is that of CPU seconds."""
    if found is None:
        print(f"  {what:52} -")
        return
    ratio = f"  {found.cpu / against.cpu:6.1f} ×" if against else ""
    print(f"  {what:52} {found.cpu:7.2f} s CPU {found.memory:6.0f} MB{ratio}")


def sized(folder: Path, machines: int, runs: int, opera: Path | None) -> Cost | None:
    """Measure templates of a number of machines; what ours takes."""
    spec = importlib.util.spec_from_file_location("_machines", Path(__file__).with_name("_machines.py"))
    assert spec and spec.loader
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    named, matched = folder / f"named-{machines}.yaml", folder / f"matched-{machines}.yaml"
    named.write_text(generator.template(machines), encoding="utf-8")
    matched.write_text(generator.template(machines, named=False), encoding="utf-8")
    print(f"{machines} machines, {2 * machines} node templates, {named.stat().st_size} bytes:")
    ours = python(PLAN, named, runs)
    show("events of the YAML parser alone (the floor)", python(EVENTS, named, runs), ours)
    show("cantiere, validate and plan", ours)
    show("cantiere, each host found by its node filter", python(PLAN, matched, runs), ours)
    if machines <= 1000:
        show("tosca-parser, validate (it knows no node filters)", python(PARSER, named, 1), ours)
    if opera:
        show("xOpera, validate", cost([str(opera / "bin" / "opera"), "validate", str(named)], 1), ours)
    seconds, memory = GOALS.get(machines, (math.inf, math.inf))
    if ours and machines in GOALS:
        met = ours.cpu < seconds and ours.memory < memory
        limit = f" and {memory:.0f} MB" if memory < math.inf else ""
        print(f"  goal: less than {seconds:.1f} s CPU{limit}: {'met' if met else 'missed'}")
    return ours


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement of ours")
    parser.add_argument("--opera", type=Path, help="virtual environment with xOpera")
    options = parser.parse_args()
    print("facility.yaml:")
    ours = python("import sys, pathlib; from cantiere.tosca.compile import load; load(pathlib.Path(sys.argv[1]))", FACILITY, options.runs)
    show("cantiere, load", ours)
    show("cantiere validate (the command)", cost([sys.executable, "-m", "cantiere", "validate", str(FACILITY)], options.runs), ours)
    show("tosca-parser", python(PARSER, FACILITY, 1), ours)
    with tempfile.TemporaryDirectory() as folder:
        found = {size: sized(Path(folder), size, options.runs, options.opera) for size in SIZES}
    small, large = found[SIZES[-2]], found[SIZES[-1]]
    if small and large:
        exponent = math.log(large.cpu / small.cpu) / math.log(SIZES[-1] / SIZES[-2])
        print(f"growth from {SIZES[-2]} to {SIZES[-1]} machines: exponent {exponent:.2f} (goal: at most 1.1)")
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
