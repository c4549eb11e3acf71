"""Down: everything that up made is gone, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOREIGN = "foreign-container"
PREFIX = "cantiere-here"


@pytest.fixture
def foreign(facility: Any, engine: Any) -> Iterator[str]:
    """A container that is not ours, from one of our images, with a volume and a network."""
    image = next(line for line in engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines() if "/cantiere/base:" in line)
    engine.run("rm", "-f", "-i", FOREIGN) if engine.name == "podman" else None
    engine.run("run", "-d", "--name", FOREIGN, "--volume", f"{FOREIGN}:/data", "--network", "none", image, "sleep", "3600")
    yield FOREIGN
    engine.run("rm", "-f", "-t", "0", FOREIGN) if engine.name == "podman" else engine.run("rm", "-f", FOREIGN)
    engine.run("volume", "rm", FOREIGN)
    facility.run("up")


def test_everything_is_gone_and_nothing_else(facility: Any, engine: Any, foreign: str) -> None:
    started = engine.run("inspect", "--format", "{{.State.StartedAt}}", foreign)
    hosts = [line for line in Path("/etc/hosts").read_text().splitlines() if PREFIX not in line and ".here.internal" not in line]
    facility.run("down")
    assert not engine.run("ps", "-aq", "--filter", f"label=cantiere.facility={PREFIX}").split()
    assert not [name for name in engine.run("ps", "-a", "--format", "{{.Names}}").split() if name.startswith((PREFIX, "jupyter-"))]
    assert not [name for name in engine.run("volume", "ls", "-q").split() if name.startswith(PREFIX)]
    assert not [name for name in engine.run("network", "ls", "--format", "{{.Name}}").split() if name.startswith(PREFIX)]
    assert Path("/etc/hosts").read_text().splitlines() == hosts
    assert PREFIX not in Path("/proc/self/mountinfo").read_text()
    assert "/var/lib/cantiere/here" not in Path("/proc/self/mountinfo").read_text()
    assert not Path("/var/lib/cantiere/here").exists()
    assert not leftovers()
    assert engine.run("inspect", "--format", "{{.State.StartedAt}}", foreign) == started
    assert engine.run("inspect", "--format", "{{.State.Status}}", foreign).strip() == "running"
    assert "nothing" in facility.run("down").stdout


def leftovers() -> list[str]:
    """Command lines of processes of the facility that run on the machine."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if "/var/lib/cantiere/here" in line]
