"""Again and again: a second up changes nothing, a changed input changes just that, a running job goes on."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.pool import running_job
from support.tree import REPOSITORY


@pytest.fixture
def steady(facility: Any, engine: Any) -> Iterator[tuple[Any, Any]]:
    yield facility, engine
    facility.run("up")


def changed(before: dict[str, Any], after: dict[str, Any]) -> tuple[set[str], set[str], set[str]]:
    """Names of the containers that are new, gone, and made or started again."""
    both = before.keys() & after.keys()
    return set(after) - set(before), set(before) - set(after), {name for name in both if before[name] != after[name]}


def test_second_up_changes_nothing(steady: tuple[Any, Any]) -> None:
    cantiere, engine = steady
    before = engine.containers()
    begin = time.monotonic()
    said = cantiere.run("up").stdout
    seconds = time.monotonic() - begin
    print(f"second up: {seconds:.1f} s")
    assert "no changes" in said
    assert engine.containers() == before
    assert "no changes" in cantiere.run("plan", "--exit-code").stdout
    assert cantiere.json("status")["drift"] == []


def test_more_workers_leave_a_running_job_alone(steady: tuple[Any, Any]) -> None:
    cantiere, engine = steady
    before = engine.containers()
    planned = cantiere.run("plan", "--exit-code", "--input", "workers=4", code=5).stdout
    assert "worker-3" in planned and "worker-4" in planned and "worker-1" not in re.sub(r"after .*", "", planned)
    with running_job() as job:
        started = job()
        cantiere.run("up", "--input", "workers=4")
        new, gone, again = changed(before, engine.containers())
        assert {name.removeprefix("cantiere-here-") for name in new} == {"pool-worker-3", "pool-worker-4"}
        assert not gone and not again
        assert job() == started
    cantiere.run("up")
    new, gone, again = changed(before, engine.containers())
    assert not new and not gone and not again


def test_a_watermark_changes_only_that_cache(steady: tuple[Any, Any]) -> None:
    cantiere, engine = steady
    before = engine.containers()
    cantiere.run("up", "--input", "site_cache_high=3500 MB")
    new, gone, again = changed(before, engine.containers())
    assert not new and not gone
    assert {name.removeprefix("cantiere-here-") for name in again} == {"site-cache"}
    cantiere.run("up")
    assert cantiere.run("plan", "--exit-code").returncode == 0


def test_the_playbook_alone_does_the_same(steady: tuple[Any, Any]) -> None:
    _, engine = steady
    before = engine.containers()
    playbook = [sys.executable, "-m", "ansible", "playbook", "-i", "inventories/here/cantiere.yml", "playbooks/site.yml"]
    done = subprocess.run(playbook, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout
    assert engine.containers() == before
