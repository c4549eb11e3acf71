from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.testbed import belongings, lowered, project, source
from support.tree import REPOSITORY

LOCK = Path("/run/lock/cantiere-system-tests")
LABEL = "cantiere.facility=cantiere-here"


class CommandLine:
    """The command line, as a user has it."""

    def run(
        self, *arguments: str, code: int | None = 0, timeout: float = 1800, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; an exit code other than the expected one fails the test."""
        done = subprocess.run(
            [REPOSITORY / "cantiere", *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        assert code is None or done.returncode == code, f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str, code: int | None = 0, environment: dict[str, str] | None = None) -> Any:
        """Run one command with --json, and read what it says."""
        done = self.run(*arguments, "--json", code=code, environment=environment)
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own and go on."""
        return subprocess.Popen(
            [REPOSITORY / "cantiere", *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def killed(self, moment: float, *arguments: str) -> bool:
        """Start a command and kill it, with all that it started, after so many seconds; whether it was still at work by then."""
        process = self.start(*arguments)
        try:
            assert process.wait(moment) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        return False

    def verified(self, *steps: str) -> dict[str, dict[str, Any]]:
        """Verify, with all steps or some and what they need; the results by name, none of them failed."""
        only = [word for step in steps for word in ("--only", step)]
        results = {step["name"]: step for step in self.json("verify", *only, code=None)["steps"]}
        failed = {name: step["evidence"] for name, step in results.items() if step["ok"] is False}
        assert not failed, failed
        return results


class Engine:
    """The container engine, asked past the command line under test."""

    def __init__(self, folder: Path) -> None:
        state, copy = Path("/var/lib/cantiere/here/engine/containers.conf"), folder / "containers.conf"
        if state.is_file():  # a copy, since `down` removes it
            copy.write_text(state.read_text())
        self.environment = {**os.environ, **({"CONTAINERS_CONF": str(copy)} if copy.is_file() else {})}
        self.name = (
            "podman" if subprocess.run(["sh", "-c", "command -v podman"], capture_output=True, check=False).returncode == 0 else "docker"
        )

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.name, *arguments], capture_output=True, text=True, env=self.environment, check=True)
        return done.stdout

    def containers(self) -> dict[str, tuple[str, str]]:
        """Name of each of the facility's containers to its identifier and when it was started; users' notebooks left out."""
        ids = self.run("ps", "-aq", "--filter", f"label={LABEL}").split()
        found = json.loads(self.run("inspect", *ids)) if ids else []
        return {item["Name"].lstrip("/"): (item["Id"], item["State"]["StartedAt"]) for item in found if "-jupyter-" not in item["Name"]}


@pytest.fixture(scope="session")
def cantiere() -> Iterator[CommandLine]:
    """The command line; the machine's facility belongs to one run of the scenarios at a time."""
    if os.geteuid() != 0:
        pytest.skip("a facility on this machine needs root")
    with LOCK.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield CommandLine()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def facility(cantiere: CommandLine) -> CommandLine:
    """The command line, with the facility of this machine up as its template asks for."""
    cantiere.run("up")
    return cantiere


@pytest.fixture(scope="module")
def cloud() -> Iterator[Any]:
    """The project of a real OpenStack whose servers are system containers; one that is up already stays up."""
    with project() as connection:
        yield connection


@pytest.fixture
def folder(cloud: Any, tmp_path: Path) -> Iterator[Path]:
    """State of a site in that project; whatever a test makes is removed, and nothing else."""
    before = belongings(cloud)
    yield tmp_path
    provider = source(tmp_path)
    lowered(provider)
    provider.release()
    assert belongings(cloud) == before
    assert not provider.holds()
