"""The engine's API on a Unix socket of the facility, for the one service that starts containers: podman's, kept running here."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from cantiere.engine import Engine
from cantiere.errors import CantiereError, Problem

START_SECONDS = 10.0


def start(engine: Engine, socket: Path, state_dir: Path) -> dict[str, Any]:
    """Start the API where it does not answer; Docker's is there already.

    Raises
    ------
    CantiereError
        It does not answer within ten seconds.
    """
    from cantiere.observe import answers

    if engine.name == "docker":
        return {"socket": str(socket)}
    stop(engine, socket)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = state_dir / "engine-api.log"
    with log.open("ab") as handle:
        process = subprocess.Popen(
            ["podman", "system", "service", "--time=0", f"unix://{socket}"],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            env={**os.environ, **engine.environment},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if answers(socket):
            return {"socket": str(socket), "pid": process.pid}
        time.sleep(0.05)
    raise CantiereError(
        Problem("engine.api", f"podman's API did not start, see {log}", "run `podman system service` by hand to see why", path=str(socket))
    )


def stop(engine: Engine, socket: Path) -> None:
    """End the API process of this socket, wherever it was started from; Docker's stays."""
    if engine.name == "docker":
        return
    wanted = f"unix://{socket}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in words and b"service" in words:
            os.kill(int(entry.name), signal.SIGTERM)
    socket.unlink(missing_ok=True)
