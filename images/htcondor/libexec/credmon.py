#!/usr/bin/python3 -I
"""HTCondor credential monitor: what a user stored (``<service>.top``) becomes what jobs get (``<service>.use``).

condor_credd writes the first and sends a hang-up signal; the second is what shadows read, again and again while a job runs.
condor_credd itself sweeps the folders of users without jobs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

INTERVAL = 5.0
"""Seconds between two looks at the folder, for a signal that was missed."""


def access_token(stored: bytes) -> bytes:
    """The token in what a user stored: JSON with ``access_token``, or the token itself."""
    text = stored.strip()
    try:
        return str(json.loads(text)["access_token"]).encode()
    except (ValueError, KeyError, TypeError):
        return text


def refresh(folder: Path) -> list[Path]:
    """Bring every ``*.use`` up to date, each readable by root alone and replaced as a whole.

    Parameters
    ----------
    folder:
        HTCondor's SEC_CREDENTIAL_DIRECTORY_OAUTH: a folder per user.

    Returns
    -------
    list of Path
        The files that were written.
    """
    written = []
    for top in sorted(folder.glob("*/*.top")):
        use = top.with_suffix(".use")
        try:
            stamp = top.stat().st_mtime_ns
            if use.exists() and use.stat().st_mtime_ns == stamp:
                continue
            new = top.with_suffix(".use.new")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(access_token(top.read_bytes()) + b"\n")
            os.utime(new, ns=(stamp, stamp))
            new.replace(use)
        except FileNotFoundError:
            continue  # swept while we looked
        written.append(use)
    return written


def main(folder: Path) -> None:
    """Watch the folder until told to end."""
    signals = {signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    new = folder / "pid.new"
    new.write_text(f"{os.getpid()}\n")
    new.chmod(0o644)  # condor_credd reads it as the user condor
    new.replace(folder / "pid")
    while True:
        for path in refresh(folder):
            print(f"{path.parent.name}: {path.name} renewed", flush=True)
        (folder / "CREDMON_COMPLETE").touch()
        received = signal.sigtimedwait(signals, INTERVAL)
        if received and received.si_signo != signal.SIGHUP:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
