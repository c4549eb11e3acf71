"""Whether a new machine lets us in, by the way that everybody takes later."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh

ANSWER_SECONDS, PAUSE = 600.0, 3.0


def silent(name: str, way: Callable[[], Sequence[Machine]]) -> str | None:
    """Wait until a machine lets us in: at its address from outside, through a jump host, or straight.

    Parameters
    ----------
    name:
        The machine.
    way:
        Tells the machine, and the jump host where there is one, as far as both are made by now.

    Returns
    -------
    str or None
        What SSH said last, where nobody is let in after :data:`ANSWER_SECONDS`.
    """
    end = time.monotonic() + ANSWER_SECONDS
    with tempfile.TemporaryDirectory(prefix="cantiere-") as folder:
        ssh = Ssh(Path(folder))
        try:
            while True:
                placed = way()
                ssh.write(placed)
                ssh.pin([item for item in placed if item.host_key])
                done = ssh.run(name, "true", timeout=30)
                if done.returncode == 0:
                    return None
                if time.monotonic() > end:
                    return done.stderr.strip()
                time.sleep(PAUSE)
        finally:
            ssh.close()
