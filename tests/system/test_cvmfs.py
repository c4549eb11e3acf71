"""CVMFS: turned on by an input, used in a notebook and in a job, turned off again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def with_cvmfs(facility: Any) -> Iterator[Any]:
    if not Path("/dev/fuse").exists():
        pytest.skip("this machine has no /dev/fuse")
    facility.run("up", "--input", "cvmfs=true")
    yield facility
    facility.run("up")


def test_notebook_and_job_run_software(with_cvmfs: Any) -> None:
    results = with_cvmfs.verified("software")
    print(results["software"]["evidence"])
    assert results["software"]["ok"] is True


def test_turned_off_it_is_gone(with_cvmfs: Any) -> None:
    with_cvmfs.run("up")
    assert not any("cantiere" in line and "cvmfs" in line for line in Path("/proc/self/mountinfo").read_text().splitlines())
    assert with_cvmfs.run("plan", "--exit-code").returncode == 0
