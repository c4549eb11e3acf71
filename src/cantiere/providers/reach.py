"""Whether a new machine lets us in, by the way that everybody takes later."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh

ANSWER_SECONDS, PAUSE = 600.0, 3.0
Place = Callable[[Sequence[Machine]], tuple[tuple[Machine, ...], list[Problem]]]


def answering(place: Place, asked: Mapping[str, Machine], machine: Machine, code: str, seconds: float = ANSWER_SECONDS) -> None:
    """Wait until a machine lets us in: at its address from outside, through a jump host, or straight.

    Parameters
    ----------
    place:
        Fills in addresses, ways in and host keys.
    asked:
        All machines that were asked for, by name.
    machine:
        The machine, placed.
    code:
        Of the error where it stays silent.
    seconds:
        How long to wait.

    Raises
    ------
    CantiereError
        It lets nobody in.
    """
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="cantiere-") as folder:
        ssh = Ssh(Path(folder))
        try:
            while True:
                placed, _ = place([asked[name] for name in (machine.jump, machine.name) if name])
                ssh.write(placed)
                ssh.pin([item for item in placed if item.host_key])
                done = ssh.run(machine.name, "true", timeout=30)
                if done.returncode == 0:
                    return
                if time.monotonic() > end:
                    message = f"{machine.name} is there and lets nobody in after {seconds:.0f} s: {done.stderr.strip()}"
                    remedy = "check that admin_cidrs has this machine, and that the image has cloud-init and gets its user data; run again"
                    raise CantiereError(Problem(code, message, remedy, path=machine.name))
                time.sleep(PAUSE)
        finally:
            ssh.close()
