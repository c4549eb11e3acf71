"""The bed as a whole: up, down, and what is there."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

import cantiere
from cantiere.errors import CantiereError, Problem
from cantiere.providers.nspawn import host
from cantiere.providers.nspawn.images import CACHE, DIGITS
from cantiere.providers.nspawn.shell import locked, must
from cantiere.state import write_atomic
from tests.openstack import cable, guest, namespace, root, settings
from tests.openstack.layout import ADMIN, CLOUDS, HOME, NAME, PROJECT, REGION, USER, endpoint

HERE = Path(__file__).parent
PROGRAMS = "usr/local/lib/bed"
PLACED = {
    "inside/nspawn.py": ("usr/lib/python3/dist-packages/nova/virt/nspawn.py", 0o644),  # nova takes drivers of this package alone
    "inside/records.py": ("usr/lib/python3/dist-packages/nova/virt/records.py", 0o644),
    "inside/mount.nfs": ("usr/sbin/mount.nfs", 0o755),
}
"""File of ours to where it goes and its mode."""
BORROWED = ("errors.py", "providers/nspawn/cgroups.py")
"""What the driver uses of the provider of system containers."""
KEPT = "openstack-data"
SHAPES_DATA = ("layout.py", "inside/prepare.py", "guest.py")
"""Files that what is kept depends on; the others count at every start."""
START_SECONDS = 600.0
NODES = 4
"""Each takes some seconds of the start; many servers are made faster on many."""
PREPARE_SECONDS = 1800.0
PAUSE = 0.1
SHOWN = 3000
LOCK = Path("/run/lock") / NAME

Log = Callable[[str], None]


def up(compute: str, log: Log, nodes: int = NODES) -> None:
    """Start the bed, and make first what is not kept yet.

    Parameters
    ----------
    compute:
        ``fake`` or ``nspawn``.
    log:
        Takes what is done, line by line.
    nodes:
        How many nodes servers that are records are spread over.

    Raises
    ------
    CantiereError
        It is up already, or does not start; says what it printed last.
    """
    with locked(LOCK):
        if running():
            raise _problem("up", "the bed is up already", "take it down first: python -m tests.openstack down")
        begin = time.monotonic()
        host.install(log)
        _clear()
        root.make(log)
        guest.make(log)
        data = _data(log)
        log(f"{time.monotonic() - begin:7.1f} s  images")
        secret = (data / "etc/bed-secret").read_text(encoding="utf-8").strip()
        try:
            _raise(compute, f"{data}:{root.lower()}", secret, nodes, log)
        except CantiereError:
            _end()  # its folder stays, to be read
            raise
        log(f"{time.monotonic() - begin:7.1f} s  up; export OS_CLIENT_CONFIG_FILE={CLOUDS} OS_CLOUD=testbed")


def down() -> None:
    """End the bed and remove what it made; what is kept for the next start stays."""
    with locked(LOCK):
        _clear()
    LOCK.unlink(missing_ok=True)


def service(task: str, name: str) -> None:
    """Stop one of the bed's processes, or start it again.

    Raises
    ------
    CantiereError
        The bed is not up, or it has no such process.
    """
    if not status()["up"]:
        raise _problem("service", "the bed is not up", "start it: python -m tests.openstack up")
    enter = ["nsenter", f"--target={_first_process()}", *"--mount --uts --ipc --net --pid --root --wd".split()]
    program = ["env", f"PYTHONPATH=/{PROGRAMS}", "python3", "-m", "tests.openstack.inside.service", task, name]
    must(*enter, *program)


def seen_from_here() -> Path:
    """The root folder of the bed that is up, as this machine's processes can open it."""
    return Path("/proc", str(_first_process()), "root")


def running() -> bool:
    """Whether a process of the bed is there."""
    return bool(namespace.groups().processes())


def status() -> dict[str, object]:
    """What is there: the kind of servers, and memory in bytes."""
    if not running():
        return {"up": False}
    file = HOME / "bed.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"up": CLOUDS.is_file(), "compute": known.get("compute", ""), "memory": namespace.groups().memory(), "clouds": str(CLOUDS)}


def clouds(secret: str) -> dict[str, object]:
    """What a client is configured with: ``testbed`` for a user of one project, ``testbed-admin`` for all."""

    def cloud(user: str, project: str) -> dict[str, object]:
        login = {"username": user, "password": secret, "project_name": project}
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        return {"auth": {"auth_url": endpoint("identity"), **login, **domains}, "region_name": REGION}

    return {"clouds": {"testbed": cloud(USER, PROJECT), "testbed-admin": cloud(ADMIN, ADMIN)}}


def _first_process() -> int:
    return namespace.first_process(json.loads((HOME / "bed.json").read_text(encoding="utf-8"))["launcher"])


def _raise(compute: str, lower: str, secret: str, nodes: int, log: Log) -> None:
    HOME.mkdir(mode=0o700)
    host.set_up(NAME, HOME)
    _install(HOME / "upper", secret, compute)
    _write(HOME / "upper", Path("etc/bed-nodes"), f"{nodes}\n", 0o644)
    started = _start(HOME, lower, compute)
    write_atomic(HOME / "bed.json", json.dumps({"compute": compute, "launcher": started.pid}) + "\n")
    _wait(started, HOME, log)
    write_atomic(CLOUDS, yaml.safe_dump(clouds(secret), sort_keys=False), 0o600)


def _data(log: Log) -> Path:
    """The layer with databases and contents; made where it is not there."""
    programs = [(HERE / name).read_text(encoding="utf-8") for name in SHAPES_DATA]
    made_from = [root.lower(), guest.wanted()[-1].digest, guest.files(), programs]
    folder = CACHE / f"{KEPT}-{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:DIGITS]}"
    if folder.is_dir():
        return folder
    work = CACHE / f".{KEPT}.making"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    secret = secrets.token_urlsafe(16)
    _install(work / "upper", secret, "prepare")
    (work / "upper/srv").mkdir()
    log("writing the image of servers")
    guest.write(work / "upper/srv/guest.raw", work / "guest")
    log("making databases and contents")
    groups = namespace.groups(f"{NAME}-prepare")
    process = namespace.launch(work, root.lower(), "prepare", groups)
    try:
        code = process.wait(PREPARE_SECONDS)
    finally:
        groups.end()
    log((work / "boot.log").read_text(encoding="utf-8"))
    if code:
        raise _problem("prepare", f"the databases could not be made: {_said(work)}", f"read {work}/upper/var/log, then start again")
    for old in CACHE.glob(f"{KEPT}-*"):
        shutil.rmtree(old)
    (work / "upper").rename(folder)
    shutil.rmtree(work)
    return folder


def _install(upper: Path, secret: str, compute: str) -> None:
    """Write what the bed has beside its packages: configuration, and our own programs."""
    texts = settings.files(secret, compute)
    for path in (*HERE.glob("*.py"), *HERE.glob("inside/*.py")):
        texts[Path(PROGRAMS, "tests/openstack", path.relative_to(HERE))] = path.read_text(encoding="utf-8")
    for name in BORROWED:
        texts[Path(PROGRAMS, "cantiere", name)] = Path(cantiere.__path__[0], name).read_text(encoding="utf-8")
    texts[Path("etc/bed-secret")] = f"{secret}\n"
    for file, text in texts.items():
        _write(upper, file, text, 0o600 if file == Path("etc/bed-secret") else 0o644)
    for name, (place, mode) in PLACED.items():
        _write(upper, Path(place), (HERE / name).read_text(encoding="utf-8"), mode)


def _write(upper: Path, name: Path, text: str, mode: int) -> None:
    file = upper / name
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def _start(home: Path, lower: str, task: str) -> subprocess.Popen[bytes]:
    process = namespace.launch(home, lower, task, namespace.groups())
    deadline = time.monotonic() + 10
    while not (first := namespace.first_process(process.pid)) or not _own_network(first):
        if process.poll() is not None or time.monotonic() > deadline:
            raise _problem("start", f"the bed's namespaces cannot be made: {_said(home)}", "see what it names")
        time.sleep(0.02)
    cable.plug(first)
    return process


def _own_network(process: int) -> bool:
    """Whether a process has left this machine's network namespace."""
    try:
        return Path("/proc", str(process), "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return False


def _wait(process: subprocess.Popen[bytes], home: Path, log: Log) -> None:
    """Wait until the bed says that it is ready, and pass on what it says on the way."""
    deadline = time.monotonic() + START_SECONDS
    shown = 0
    while True:
        ended = process.poll() is not None
        text = (home / "boot.log").read_text(encoding="utf-8", errors="replace")
        for line in text[shown:].splitlines():
            log(line)
        shown = len(text)
        if text.rstrip().endswith("ready"):
            return
        if ended or time.monotonic() > deadline:
            raise _problem("start", f"the bed does not start: {_said(home)}", f"read {home}/upper/var/log, then start again")
        time.sleep(PAUSE)


def _end() -> None:
    namespace.end()
    cable.unplug()
    host.put_back(NAME)


def _clear() -> None:
    _end()
    if HOME.is_dir():
        shutil.rmtree(HOME)


def _said(home: Path) -> str:
    file = home / "boot.log"
    return file.read_text(encoding="utf-8", errors="replace")[-SHOWN:].strip() if file.is_file() else ""


def _problem(code: str, message: str, remedy: str) -> CantiereError:
    return CantiereError(Problem(f"testbed.{code}", message, remedy))
