"""The registry of a site on machines: which of them serves images, under which address, and with which keys. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cantiere.machines.model import Machine
from cantiere.model import Secret, SecretFile
from cantiere.services.facts import CA

ROLE = "registry"
PORT = 5000
WRITE_PORT = 5001
USER = "cantiere"
PATH = "cantiere"
"""The part of image names that comes before their own."""
FILES = ("ca.pem", "certificate.pem", "key.pem", "password")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a site's own registry is.

    Parameters
    ----------
    machine, address:
        The machine that serves it.
    folder:
        Folder of the controller with its certificate, key and password.
    ca:
        The authority behind its certificate, PEM; ``""`` while there is none.
    digest:
        Of the files; ``""`` while they are not there.
    outside:
        Address by which this machine reaches it, or ``""`` where that is its address.
    """

    machine: str
    address: str
    folder: PurePosixPath
    ca: str = ""
    digest: str = ""
    outside: str = ""

    @property
    def name(self) -> str:
        """Name of the container whose secrets they are in the site's store."""
        return ROLE

    @property
    def secrets(self) -> tuple[SecretFile, ...]:
        """What the registry needs of the site's store; a new address makes a new certificate."""
        names = {"common_name": self.address, "names": ",".join(filter(None, (self.address, self.machine, self.outside)))}
        host = Secret("-".join(filter(None, ("host-registry", self.address, self.outside))), "generate:certificate", names)
        return (
            SecretFile(CA, "ca.pem", "certificate"),
            SecretFile(host, "certificate.pem", "certificate"),
            SecretFile(host, "key.pem", "key"),
            SecretFile(Secret("registry-password", "generate:password"), "password"),
        )

    @property
    def host(self) -> str:
        """Host and port as image names have them."""
        return f"{self.address}:{PORT}"

    @property
    def prefix(self) -> str:
        """What comes before the names of images."""
        return f"{self.host}/{PATH}"

    @property
    def door(self) -> str:
        """The same, where images are written."""
        return f"{self.outside or self.address}:{WRITE_PORT}/{PATH}"


def machine_of(placed: Sequence[Machine]) -> Machine | None:
    """The machine that serves images: the first with the role, else the first of the control plane; None without either."""
    named = [machine for machine in placed if ROLE in machine.roles]
    controls = sorted((machine for machine in placed if machine.controls), key=lambda machine: machine.name)
    return next(iter([*named, *controls]), None)


def place_of(placed: Sequence[Machine], folder: PurePosixPath, contents: Mapping[str, bytes]) -> Place | None:
    """Where a site's own registry is, with what is there of its files.

    Parameters
    ----------
    placed:
        All machines, with addresses.
    folder:
        Where the site's store puts the registry's files.
    contents:
        Those of :data:`FILES` that are there, by name.
    """
    machine = machine_of(placed)
    if machine is None:
        return None
    whole = all(name in contents for name in FILES)
    return Place(
        machine=machine.name,
        address=machine.address,
        folder=folder,
        ca=contents["ca.pem"].decode() if whole else "",
        digest=hashlib.sha256(b"\0".join(contents[name] for name in FILES)).hexdigest() if whole else "",
        outside=machine.door,
    )
