"""Bring this machine's GPUs to a MIG layout: ``mig.py apply|plan LAYOUT.json``. What is done, or would be, is printed as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # removal would leave it behind

import gpu  # noqa: E402 - the file beside this one, after the line above

ANSWERS_WITH_NOTHING = ("no gpu instances found", "no mig-enabled devices found")


def run(command):
    """Run a command and give what it printed; end with its message where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    text = done.stdout + done.stderr
    if done.returncode != 0 and not any(answer in text.lower() for answer in ANSWERS_WITH_NOTHING):
        raise ValueError(f"{' '.join(command)}: {text.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def main(arguments):
    """Read the layout, and apply it or tell what it needs."""
    if len(arguments) != 2 or arguments[0] not in ("apply", "plan"):
        print("usage: mig.py apply|plan LAYOUT.json", file=sys.stderr)
        return 2
    layout = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    try:
        steps = gpu.converge(run, layout) if arguments[0] == "apply" else gpu.observe(run, layout)
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        print(f"mig.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps([{"command": " ".join(step.command), "reason": step.reason} for step in steps]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
