"""Refusals: what cannot work is said before anything is touched, with what, where and the remedy."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.tree import REPOSITORY

SITE = """\
plugin: cantiere
site: refused
template: {repository}/tosca/templates/facility.yaml
platform: compose
engine: auto
subnet: 10.145.16.0/20
bind_address: {address}
state_dir: {state}
artifacts: auto
"""
ADDRESS = "127.0.0.77"
REFUSED = 4


@pytest.fixture
def site(tmp_path: Path, engine: Any) -> Iterator[Path]:
    """A site that nothing was ever raised on; after the test it still is."""
    path = tmp_path / "cantiere.yml"
    path.write_text(SITE.format(repository=REPOSITORY, address=ADDRESS, state=tmp_path / "state"))
    hosts = Path("/etc/hosts").read_text()
    before = objects(engine)
    yield path
    assert Path("/etc/hosts").read_text() == hosts
    assert objects(engine) == before
    assert not (tmp_path / "state").exists()


def objects(engine: Any) -> list[str]:
    """Everything that the engine holds."""
    return [engine.run("ps", "-aq"), engine.run("volume", "ls", "-q"), engine.run("network", "ls", "-q"), engine.run("images", "-q")]


def refused(cantiere: Any, site: Path, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    """Problems by code of an `up` that must be refused, each with a message, a place and a remedy."""
    answer = cantiere.json("up", "--site", str(site), *arguments, code=REFUSED, environment=environment)
    problems = {problem["code"]: problem for problem in answer["errors"]}
    assert all(problem["message"] and problem["path"] and problem["remedy"] for problem in problems.values())
    return problems


def test_port_taken(cantiere: Any, site: Path) -> None:
    with socket.create_server((ADDRESS, 8000)):
        problem = refused(cantiere, site)["port.taken"]
    assert "8000" in problem["message"] and problem["path"] == "hub"


def test_too_little_memory(cantiere: Any, site: Path) -> None:
    problem = refused(cantiere, site, "--input", "workers=100", "--input", "memory_per_worker=64 GiB")["memory.small"]
    assert "workers" in problem["remedy"]


def test_too_little_disk(cantiere: Any, site: Path) -> None:
    problem = refused(cantiere, site, "--input", "national_cache_high=900 TB")["disk.small"]
    assert "national-cache" in problem["message"]


def test_unreachable_external_iam(cantiere: Any, site: Path) -> None:
    environment = {"LAB_CLIENT_SECRET": "unused"}
    inputs = ["--input", "iam_issuer=https://127.0.0.78:9", "--input", "iam_client_secret=env:LAB_CLIENT_SECRET"]
    problem = refused(cantiere, site, *inputs, environment=environment)["iam.unreachable"]
    assert "127.0.0.78" in problem["message"]


def test_engine_that_cannot_run_containers(cantiere: Any, engine: Any, site: Path, tmp_path: Path) -> None:
    """A command of the engine's name comes first in PATH: it passes everything on but `run`, which fails as a broken runtime does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = next(Path(part) / engine.name for part in os.environ["PATH"].split(":") if (Path(part) / engine.name).exists())
    (folder / engine.name).write_text(
        f'#!/bin/sh\n[ "$1" = run ] && {{ echo "Error: OCI runtime error: cannot start" >&2; exit 126; }}\nexec {real} "$@"\n'
    )
    (folder / engine.name).chmod(0o755)
    problem = refused(cantiere, site, environment={"PATH": f"{folder}:{os.environ['PATH']}"})["engine.run"]
    assert "OCI runtime error" in problem["message"]


def test_no_permission(cantiere: Any, site: Path) -> None:
    """The same command as a user without rights, who can read this checkout and Python wherever they are."""
    cantiere.run("plan", "--site", str(site))
    reads_all = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            *reads_all,
            REPOSITORY / "cantiere",
            "up",
            "--site",
            site,
            "--json",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert "rights.root" in done.stdout
