"""The bed's processes: what each is started with, and how to tell that it is ready."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.openstack.layout import API, METADATA_PORT, PORTS

LOGS = Path("/var/log/bed")
NUMBERS = Path("/run/bed")
SOCKET = Path("/run/mysqld/mysqld.sock")
SWITCH = Path("/run/openvswitch")
NORTH, SOUTH = SWITCH / "north.sock", SWITCH / "south.sock"
STARTING_SECONDS = 300.0
PAUSE = 0.1

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "OVS_RUNDIR": str(SWITCH),
    "OVN_RUNDIR": str(SWITCH),
    "ERL_EPMD_ADDRESS": "127.0.0.1",
    "RABBITMQ_NODENAME": "rabbit@localhost",
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    "PYTHONPATH": "/usr/local/lib/bed",
    "OS_NEUTRON_CONFIG_FILES": "/etc/neutron/neutron.conf;/etc/neutron/plugins/ml2/ml2_conf.ini",
}


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process of the bed.

    Parameters
    ----------
    name:
        Its log and its number are kept under this.
    command:
        Program and arguments; it stays in the foreground.
    port:
        Answers HTTP on the API's address there once it is ready; where ``local`` is set, it is open on 127.0.0.1.
    path:
        Socket that is there once it is ready.
    """

    name: str
    command: Sequence[str]
    port: int = 0
    path: Path | None = None
    local: bool = field(default=False, kw_only=True)

    def start(self) -> None:
        """Start it; returns at once."""
        LOGS.mkdir(exist_ok=True)
        NUMBERS.mkdir(exist_ok=True)
        with (LOGS / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, cwd="/", start_new_session=True
            )
        (NUMBERS / self.name).write_text(f"{process.pid}\n", encoding="utf-8")

    def wait(self) -> None:
        """Wait until it is ready.

        Raises
        ------
        RuntimeError
            It ended, or is not ready in time; shows the end of its log.
        """
        deadline = time.monotonic() + STARTING_SECONDS
        number = int((NUMBERS / self.name).read_text(encoding="utf-8"))
        while not self._ready():
            if time.monotonic() > deadline or ended(number):
                said = (LOGS / f"{self.name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} does not start: {said}")
            time.sleep(PAUSE)

    def _ready(self) -> bool:
        if self.path:
            return self.path.exists()
        try:
            if self.local:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            else:  # the port is open before the program behind it is loaded
                asked = HTTPConnection(API, self.port, timeout=STARTING_SECONDS)
                asked.request("GET", "/")
                asked.getresponse().close()
        except (OSError, HTTPException):
            return False
        return True


def ended(number: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path("/proc", str(number), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def run(*command: str, check: bool = True) -> str:
    """Run a program to its end and return what it printed.

    Raises
    ------
    RuntimeError
        It failed where it must not; shows what it printed last.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False)
    if check and done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def sql(statement: str) -> str:
    """Ask MariaDB; returns rows without a heading."""
    return run("mariadb", "--no-defaults", f"--socket={SOCKET}", "--batch", "--skip-column-names", "-e", statement)


def _uwsgi(name: str, module: str, port: int, *more: str, processes: int = 1, threads: int = 1) -> Daemon:
    options = "--plugin python3 --master --enable-threads --lazy-apps --need-app --die-on-term --so-keepalive --disable-logging"
    sizes = f"--buffer-size 65535 --processes {processes} --threads {threads}"
    listen = ("--http-socket", f"{API}:{port}", "--add-header", "Connection: close", "--module", module)
    return Daemon(name, ("uwsgi", *options.split(), *sizes.split(), *listen, *more), port)


def _python(name: str, module: str, *arguments: str) -> Daemon:
    return Daemon(name, ("python3", "-c", f"import sys; sys.argv[0] = '{name}'; from {module} import main; sys.exit(main())", *arguments))


def _database(name: str, schema: str, path: Path, *more: str) -> Daemon:
    file = Path(f"/var/lib/openvswitch/{name}.db")
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        run("ovsdb-tool", "create", str(file), schema)
    control = (f"--unixctl={SWITCH}/{name}.ctl", f"--pidfile={SWITCH}/{name}.pid")
    return Daemon(name, ("ovsdb-server", str(file), f"--remote=punix:{path}", *control, *more), path=path)


def memcached() -> Daemon:
    """The cache of tokens."""
    return Daemon("memcached", "memcached -u nobody -m 64 -t 1 -l 127.0.0.1".split(), 11211, local=True)


def mariadb() -> Daemon:
    """The database server; it does not wait for the disk, since what it holds is either thrown away or stopped in order."""
    options = "--no-defaults --user=root --datadir=/var/lib/mysql --skip-networking --skip-log-bin --performance-schema=off"
    careless = "--innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --innodb-doublewrite=0 --innodb-log-file-size=16M"
    older = "--innodb-snapshot-isolation=off"  # services do not try again where two write one row, as they do with a deadlock
    sizes = f"--innodb-buffer-pool-size=256M --max-connections=400 --character-set-server=utf8mb4 --socket={SOCKET}"
    return Daemon("mariadb", ("mariadbd", *options.split(), *careless.split(), older, *sizes.split()), path=SOCKET)


def rabbitmq() -> Daemon:
    """The message queue."""
    dropped = "setpriv --reuid rabbitmq --regid rabbitmq --clear-groups env HOME=/var/lib/rabbitmq"
    return Daemon("rabbitmq", (*dropped.split(), "/usr/lib/rabbitmq/bin/rabbitmq-server"), 5672, local=True)


def switch_databases() -> tuple[Daemon, ...]:
    """Databases of Open vSwitch and of OVN."""
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    return (
        _database("switch", schema, SWITCH / "db.sock"),
        _database("north", "/usr/share/ovn/ovn-nb.ovsschema", NORTH, "--remote=ptcp:6641:127.0.0.1"),
        _database("south", "/usr/share/ovn/ovn-sb.ovsschema", SOUTH, "--remote=ptcp:6642:127.0.0.1"),
    )


def switches() -> tuple[Daemon, ...]:
    """The switch in user space, and what programs it."""

    def daemon(name: str, *words: str) -> Daemon:
        path = SWITCH / f"{name}.ctl"
        return Daemon(name, (name, *words, f"--unixctl={path}", f"--pidfile={SWITCH}/{name}.pid"), path=path)

    return (
        daemon("ovs-vswitchd", f"unix:{SWITCH}/db.sock"),
        daemon("ovn-northd", f"--ovnnb-db=unix:{NORTH}", f"--ovnsb-db=unix:{SOUTH}"),
        daemon("ovn-controller", f"unix:{SWITCH}/db.sock"),
    )


def keystone() -> Daemon:
    """The identity service."""
    return _uwsgi("keystone", "keystone.wsgi.api:application", PORTS["identity"], threads=4)


def apis() -> tuple[Daemon, ...]:
    """The other services' APIs."""
    stamp = ("--set", f"start-time={int(time.time())}")  # the hash ring of OVN's driver tells workers of this start from those of the last
    return (
        _uwsgi("placement", "placement.wsgi.api:application", PORTS["placement"], threads=4),
        _uwsgi("neutron-api", "neutron.wsgi.api:application", PORTS["network"], *stamp, processes=2),
        _uwsgi("nova-api", "nova.wsgi.osapi_compute:application", PORTS["compute"], processes=2),
        Daemon("glance-api", ("glance-api",), PORTS["image"]),
        _uwsgi("cinder-api", "cinder.wsgi.api:application", PORTS["block-storage"]),
    )


def workers() -> tuple[Daemon, ...]:
    """What does the services' work; no port tells that one of these is ready."""
    network = [word for file in ENVIRONMENT["OS_NEUTRON_CONFIG_FILES"].split(";") for word in ("--config-file", file)]
    return (
        Daemon("nova-conductor", ("nova-conductor",)),
        Daemon("nova-scheduler", ("nova-scheduler",)),
        Daemon("cinder-scheduler", ("cinder-scheduler",)),
        _python("cinder-volume", "cinder.cmd.volume"),
        Daemon("neutron-ovn-maintenance-worker", ("neutron-ovn-maintenance-worker", *network)),
        _python("nova-compute", "nova.cmd.compute", "--config-file", "/etc/nova/nova-compute.conf"),
    )


def metadata() -> tuple[Daemon, ...]:
    """What serves real servers their user-data and keys."""
    file = "/etc/neutron/neutron_ovn_metadata_agent.ini"
    return (
        _uwsgi("nova-metadata", "nova.wsgi.metadata:application", METADATA_PORT),
        Daemon("neutron-ovn-metadata-agent", ("neutron-ovn-metadata-agent", "--config-file", file)),
    )


def environ() -> None:
    """Give this process the environment of the daemons, for libraries that read it."""
    os.environ.update(ENVIRONMENT)
