"""Make an image of ``artifacts.yaml`` in the container engine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cantiere import artifacts
from cantiere.artifacts import ROOTFS, Image, catalogue, pins
from cantiere.engine import Engine
from cantiere.errors import CantiereError, Location, Problem
from cantiere.site import Site
from cantiere.supply import ensure
from cantiere.supply.download import is_address
from cantiere.supply.mirror import INDEX
from cantiere.supply.pins import own_architecture
from cantiere.supply.unpacked import root_filesystem

HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")


def build(engine: Engine, image: Image, site: Site, log: Callable[[str], None]) -> None:
    """Make one image; its parent is there.

    Parameters
    ----------
    engine:
        Where the image goes.
    image:
        Which one.
    site:
        Says where base images come from.
    log:
        Takes the build's output line by line.

    Raises
    ------
    CantiereError
        It cannot be had; says which artifact, what was tried, and the remedy.
    """
    if image.name == ROOTFS:
        _rootfs(engine, image, site, log)
        return
    arguments = {**image.args, "FROM" if image.parent == ROOTFS else "BASE": catalogue()[image.parent].reference}
    command = ["build", "--network", "host", "--tag", image.reference, "--file", str(image.folder / "Containerfile")]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    if image.binaries:
        for name, stored in ensure(list(image.binaries), site, own_architecture(), log).items():
            command += ["--build-context", f"{name}={stored.folder}"]
    if engine.name == "podman" and image.parent != ROOTFS and HOST_CA.is_file():
        # a site's own CA (a proxy that inspects TLS) is trusted while building, and is no part of the image
        command += ["--volume", f"{HOST_CA}:{HOST_CA}:ro"]
    _stream(engine, [*command, str(image.folder)], image, log)


def _rootfs(engine: Engine, image: Image, site: Site, log: Callable[[str], None]) -> None:
    pin = pins()[ROOTFS]
    supply = artifacts.supply(site)
    if supply == "mirror" and (is_address(site.mirror) or (Path(site.mirror) / INDEX).is_file()):
        _import(engine, image, ensure([ROOTFS], site, own_architecture(), log)[ROOTFS].files[0].path)
        return
    if supply == "mirror" and site.mirror.startswith("/"):
        _import(engine, image, Path(site.mirror) / f"{image.name}.tar")
        return
    if supply != "build":
        source = pin["upstream"] if supply == "upstream" else f"{site.mirror}/{pin['upstream'].rpartition('/')[2]}"
        _stream(engine, ["pull", source], image, log)
        engine.run("tag", source, image.reference)
        return
    with tempfile.TemporaryDirectory(prefix="cantiere-rootfs-") as folder:
        archive = Path(folder) / "rootfs.tar"
        root_filesystem(pin["build"], str(pins()["debian_release"]), archive)
        _import(engine, image, archive)


def _import(engine: Engine, image: Image, archive: Path) -> None:
    if not archive.is_file():
        raise _unavailable(image, f"there is no {archive}", "put an archive of a root file system there, or choose another supply")
    engine.run("import", str(archive), image.reference)


def _stream(engine: Engine, command: list[str], image: Image, log: Callable[[str], None]) -> None:
    environment = {**os.environ, **engine.environment}
    tail: list[str] = []
    with subprocess.Popen(
        [engine.name, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        for line in process.stdout or ():
            tail = [*tail[-30:], line.rstrip()]
            log(f"{image.name}: {line.rstrip()}")
    if process.returncode:
        raise _unavailable(image, "\n".join(tail[-12:]), "check that the package mirrors can be reached, then run the same command again")


def _unavailable(image: Image, why: str, remedy: str) -> CantiereError:
    return CantiereError(
        Problem("artifact.unavailable", f"image {image.name} could not be made: {why}", remedy, Location(str(artifacts.PINS)), image.name)
    )
