"""The container engine's command line (podman or Docker): every call goes through here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.engine_labels import LABEL_FACILITY
from cantiere.errors import CantiereError, Problem


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine.

    Parameters
    ----------
    name:
        ``podman`` or ``docker``.
    environment:
        Variables that its command line needs (the facility's own ``CONTAINERS_CONF``).
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str, check: bool = True, timeout: float | None = 600, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine.

        Parameters
        ----------
        arguments:
            Without the engine's own name.
        check:
            Whether a failure raises.
        timeout:
            Seconds, or None for no limit.
        stdin:
            Bytes for its standard input.

        Raises
        ------
        CantiereError
            The command failed or took too long; its error text is in the message.
        """
        try:
            done = subprocess.run(
                [self.name, *arguments], capture_output=True, timeout=timeout, input=stdin, env={**os.environ, **self.environment}
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed(arguments, f"no answer within {error.timeout:.0f} s") from error
        except OSError as error:
            raise self._failed(arguments, str(error)) from error
        result = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and done.returncode:
            raise self._failed(arguments, result.stderr.strip()[-800:] or f"exit code {done.returncode}")
        return result

    def _failed(self, arguments: Sequence[str], why: str) -> CantiereError:
        what = " ".join(arguments[:2])
        return CantiereError(
            Problem(
                "engine.command",
                f"{self.name} {what} failed: {why}",
                f"see `cantiere logs`, or run `{self.name} {what}` by hand",
                path=self.name,
            )
        )

    def containers(self, prefix: str) -> list[dict[str, Any]]:
        """Everything the engine knows of the facility's containers, its users' notebooks included."""
        ids = self.run("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL_FACILITY}={prefix}").stdout.split()
        if not ids:
            return []
        found = self.run("inspect", "--type", "container", *ids, check=False).stdout
        parsed: list[dict[str, Any]] = json.loads(found or "[]")
        return parsed

    def networks(self, prefix: str) -> list[str]:
        """Names of the facility's networks."""
        return self.run("network", "ls", "--format", "{{.Name}}", "--filter", f"label={LABEL_FACILITY}={prefix}").stdout.split()

    def volumes(self, prefix: str) -> list[str]:
        """Names of the facility's volumes, the homes of its users' notebooks included."""
        names = self.run("volume", "ls", "-q", "--filter", f"label={LABEL_FACILITY}={prefix}").stdout.split()
        homes = [name for name in self.run("volume", "ls", "-q").stdout.split() if name.startswith(f"{prefix}-home-")]
        return [*names, *(name for name in homes if name not in names)]

    def images(self) -> set[str]:
        """References of all images that are there."""
        lines = self.run("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
        return set(lines)

    def exec(
        self, container: str, command: Sequence[str], timeout: float = 60, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside a container; a failure is returned, not raised."""
        flags = ("-i",) if stdin is not None else ()
        return self.run("exec", *flags, container, *command, check=False, timeout=timeout, stdin=stdin)


def preferred(wanted: str) -> str:
    """The engine to use here, installed or not: Docker where asked for, or where it is there with compose v2 and podman is not."""
    if wanted != "auto":
        return wanted
    return "docker" if not shutil.which("podman") and _docker_usable() else "podman"


def detect(name: str, state_dir: Path) -> Engine | None:
    """The engine of that name with the facility's configuration, or None where it is not installed.

    Parameters
    ----------
    name:
        ``podman`` or ``docker``.
    state_dir:
        Where the facility's ``containers.conf`` is kept.
    """
    if not shutil.which(name):
        return None
    conf = state_dir / "engine" / "containers.conf"
    return Engine(name, {"CONTAINERS_CONF": str(conf)} if name == "podman" and conf.is_file() else {})


def _docker_usable() -> bool:
    if not shutil.which("docker"):
        return False
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return done.returncode == 0 and subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
