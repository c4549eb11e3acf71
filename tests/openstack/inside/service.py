"""Stop and start one of the bed's processes while it is up, for tests of faults: ``service.py stop|start NAME``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from tests.openstack.inside import daemons
from tests.openstack.inside.daemons import Daemon
from tests.openstack.layout import API


def every() -> dict[str, Daemon]:
    """All that can be stopped and started, by name."""
    found = (daemons.memcached(), daemons.rabbitmq(), daemons.keystone(), *daemons.apis(), *daemons.workers(), *daemons.metadata())
    return {daemon.name: daemon for daemon in found}


def stop(name: str) -> None:
    """Kill a process with all that it started; returns once its port is free."""
    file = daemons.NUMBERS / name
    if not file.is_file():
        return
    number = int(file.read_text(encoding="utf-8"))
    if not daemons.ended(number):
        os.killpg(number, signal.SIGKILL)
    while not daemons.ended(number) or _answers(every()[name]):
        time.sleep(daemons.PAUSE)


def _answers(daemon: Daemon) -> bool:
    """Whether a port is still held by what a killed process had started."""
    try:
        socket.create_connection(("127.0.0.1" if daemon.local else API, daemon.port), timeout=1).close()
    except OSError:
        return False
    return bool(daemon.port)


def main() -> int:
    """Do what the command line says.

    Returns
    -------
    int
        0; 2 where there is no such process.
    """
    task, name = sys.argv[1:]
    daemon = every().get(name)
    if daemon is None:
        print(f"no such service: {name}; there are: {', '.join(every())}", file=sys.stderr)
        return 2
    stop(name)
    if task == "start":
        daemon.start()
        if daemon.port:
            daemon.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
