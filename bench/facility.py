"""Facility: how long raising, raising again and validating take, against the project's measures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TIMINGS = Path("/var/cache/cantiere/timings.json")
VALIDATE_SECONDS = 0.3
SECOND_UP_SECONDS = 10.0
REPEATS = 5


def validate() -> float:
    """Best wall-clock time of `validate` of the facility's template, in seconds."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(
            [REPOSITORY / "cantiere", "validate", "tosca/templates/facility.yaml"], cwd=REPOSITORY, capture_output=True, check=True
        )
        times.append(time.perf_counter() - begin)
    return min(times)


def second_up() -> float:
    """Wall-clock time of an `up` that has nothing to do, in seconds."""
    begin = time.perf_counter()
    done = subprocess.run([REPOSITORY / "cantiere", "up"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begin
    if "no changes" not in done.stdout:
        raise SystemExit("the facility was not up as its template asks for: run `./cantiere up` first")
    return seconds


def report(name: str, seconds: float, measure: float) -> None:
    """Print one figure against its measure."""
    print(f"{name:<44} {seconds:>8.2f} s   measure {measure:g} s   {'met' if seconds <= measure else 'MISSED'}")


def main() -> int:
    """Print all figures."""
    recorded = json.loads(TIMINGS.read_text(encoding="utf-8")) if TIMINGS.is_file() else {}
    for name, timing in recorded.items():
        parts = ", ".join(f"{part} {seconds:g} s" for part, seconds in timing.get("parts", {}).items())
        print(f"{'last ' + name:<44} {timing['seconds']:>8.1f} s   {parts}")
    report("validate facility.yaml", validate(), VALIDATE_SECONDS)
    if Path("/var/lib/cantiere/here/state.json").is_file():
        report("second up", second_up(), SECOND_UP_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
