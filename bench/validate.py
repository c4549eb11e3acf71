"""How long the front end takes: ``facility.yaml``, a template of a thousand caches, tosca-parser and the bare parser of YAML on the same.

Run ``python bench/validate.py`` from the checkout; ``--nodes`` changes the size.
Each figure is the best of some runs: wall and CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FACILITY = REPOSITORY / "tosca" / "templates" / "facility.yaml"
LOAD = "import sys; from pathlib import Path; from cantiere.tosca.compile import load; load(Path(sys.argv[1]))"
PEER = "import sys; from toscaparser.tosca_template import ToscaTemplate; ToscaTemplate(sys.argv[1], {})"
HEAD = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{types}/common.yaml, {types}/iam.yaml, {types}/xrootd.yaml]
topology_template:
  inputs:
    low: {{type: scalar-unit.size, default: 3 GB}}
  node_templates:
    platform: {{type: cantiere.nodes.Platform}}
    iam: {{type: cantiere.nodes.IAM, requirements: [{{host: platform}}]}}
    origin: {{type: cantiere.nodes.XRootDOrigin, requirements: [{{host: platform}}, {{issuer: iam}}]}}
"""
CACHE = """\
    cache-{number}:
      type: cantiere.nodes.XRootDCache
      properties:
        low_watermark: {{get_input: low}}
        high_watermark: 4 GB
        namespace: {{get_property: [origin, namespace]}}
      requirements:
        - host: platform
        - issuer: iam
        - source: {source}
"""


def generated(nodes: int) -> str:
    """A template with that many caches in chains of ten."""
    caches = (CACHE.format(number=n, source="origin" if n % 10 == 0 else f"cache-{n - 1}") for n in range(nodes))
    return HEAD.format(types=REPOSITORY / "tosca" / "types") + "".join(caches)


def inside(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """Best wall and CPU seconds of some runs in this process."""
    best = (float("inf"), float("inf"))
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return best


def process(command: list[str], runs: int) -> tuple[float, float] | None:
    """Best wall and CPU seconds of some runs of a command; None where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    best = (float("inf"), float("inf"))
    for _ in range(runs):
        before, wall = os.times(), time.perf_counter()
        done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, check=False)
        after = os.times()
        if done.returncode:
            return None
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, (time.perf_counter() - wall, cpu))
    return best


def show(what: str, seconds: tuple[float, float] | None, against: tuple[float, float] | None = None) -> None:
    """Print one line; the ratio is that of CPU seconds."""
    if seconds is None:
        print(f"{what:58} -")
        return
    ratio = f"   {seconds[1] / against[1]:6.1f} ×" if against and against[1] else ""
    print(f"{what:58} {seconds[0]:7.3f} s wall  {seconds[1]:7.3f} s CPU{ratio}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="caches of the generated template")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement")
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY / "src"))
    from cantiere.tosca.compile import load
    from cantiere.tosca.document import EventParser
    from cantiere.tosca.sources import normative

    show("bare interpreter", process(["-c", "pass"], options.runs))
    show("cantiere validate facility.yaml (process)", process(["-m", "cantiere", "validate", str(FACILITY)], options.runs))
    ours = process(["-c", LOAD, str(FACILITY)], options.runs)
    show("load facility.yaml (process)", ours)
    show("tosca-parser, facility.yaml (process)", process(["-c", PEER, str(FACILITY)], 2), ours)

    def load_all(path: Path) -> None:
        normative.cache_clear()
        load(path)

    show("load facility.yaml (warm, types read again)", inside(lambda: load_all(FACILITY), options.runs))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        # Imports may only come from the template's folder and from our types.
        path.write_text(generated(options.nodes), encoding="utf-8")
        data = path.read_bytes()

        def events() -> None:
            source = EventParser(data)
            while source.check_event():
                source.get_event()

        print(f"{options.nodes} caches, {len(data)} bytes:")
        floor = inside(events, options.runs)
        show("  events of the YAML parser alone (the floor)", floor)
        large = inside(lambda: load(path), options.runs)
        show("  load (warm), against the floor", large, floor)
        show("  load (process)", process(["-c", LOAD, str(path)], options.runs))
        show("  tosca-parser (process), against the warm load", process(["-c", PEER, str(path)], 1), large)
    return 0


if __name__ == "__main__":
    sys.exit(main())
