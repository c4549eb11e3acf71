"""What a site's file says of its module, read and checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.errors import Problem, rather
from cantiere.providers.reading import FLOATING, SECRETS, Access, Reader

KEYS = (
    "type",
    "module",
    "program",
    "variables",
    "backend",
    "network",
    "image",
    "floating_ips",
    "admin_cidrs",
    "open_ports",
    "public_cidrs",
)
NETWORK_KEYS = ("subnet", "first_address", "last_address")
GIVEN = frozenset({"prefix", "lineage", "public_key", "network", "rules", "machines", "user_data"})
"""Variables that every module is given; a site sets others."""
MODULES = Path(__file__).parent / "modules"
OURS = {"openstack": ("terraform-provider-openstack",)}
"""Our modules, each with the plugins that it needs of ``artifacts.yaml``."""
PROGRAM = "tofu"


@dataclass(frozen=True, slots=True)
class Options(Access):
    """A site's ``provider:`` mapping.

    Parameters
    ----------
    module:
        Folder of the module.
    plugins:
        Names of the artifacts that hold its plugins; empty leaves it to the program to find them.
    program:
        Name or path of the program; ``""`` takes OpenTofu from the artifacts.
    variables:
        What the module is given beside :data:`GIVEN`.
    backend:
        Where the program keeps its state: type of a backend to its settings; empty keeps it in the site's state folder.
    subnet, first, last:
        The machines' network, and between which of its addresses theirs lie.
    image:
        Name of their image.
    floating_ips:
        Which machines get an address of the outside world: ``control-plane``, ``all`` or ``none``.
    """

    module: Path
    plugins: tuple[str, ...]
    program: str
    variables: Mapping[str, Any]
    backend: Mapping[str, Any]
    subnet: ipaddress.IPv4Network
    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address
    image: str
    floating_ips: str = FLOATING[0]


def read(given: Mapping[str, Any], file: Path | None) -> tuple[Options | None, list[Problem]]:
    """The options, and everything that is wrong with them; None where something is.

    Parameters
    ----------
    given:
        The site's ``provider:`` mapping.
    file:
        The site's file: a module's folder is written relative to its own, and messages name its places.
    """
    reader = _Options(given, file)
    options = reader.read()
    return (None if reader.problems else options), reader.problems


class _Options(Reader):
    """Reads the options of provider terraform."""

    code = "terraform.option"

    def read(self) -> Options:
        """All of them; with stand-ins for those that are wrong."""
        for key in self.given:
            if key not in KEYS:
                self._wrong(f"there is no option {key!r} of provider terraform", rather([str(key)], KEYS), key)
        named = self._text("module", f"name one of ours ({', '.join(OURS)}), or a folder")
        network = self._mapping(self.given.get("network"), NETWORK_KEYS, "network")
        subnet, first, last = self._addresses(network)
        return Options(
            module=MODULES / named if named in OURS else self._folder(named),
            plugins=OURS.get(named, ()),
            program=self._text("program"),
            variables=self._variables(),
            backend=self._backend(),
            subnet=subnet,
            first=first,
            last=last,
            image=self._text("image", "name the machines' image as the module finds it"),
            floating_ips=self._choice("floating_ips", FLOATING),
            admin_cidrs=self._cidrs(self.given.get("admin_cidrs"), "admin_cidrs"),
            open_ports=self._open_ports(),
            public_cidrs=self._public_cidrs(),
        )

    def _folder(self, named: str) -> Path:
        folder = (self.places.file.parent if self.places.file else Path()) / named
        if named and not any(folder.glob("*.tf")) and not any(folder.glob("*.tf.json")):
            remedy = f"name one of ours ({', '.join(OURS)}), or a folder with *.tf or *.tf.json, relative to the site's file"
            self._wrong(f"there is no module in {folder}", remedy, "module")
        return folder

    def _variables(self) -> Mapping[str, Any]:
        value = self.given.get("variables") or {}
        if not isinstance(value, dict):
            self._wrong("variables is no mapping", "write the module's own variables: `variables: {cloud: mycloud}`", "variables")
            return {}
        for name in value:
            if name in GIVEN:
                self._wrong(f"the variable {name} is given to every module", "leave it out", "variables", str(name))
            elif name in SECRETS:
                self._wrong(f"{name} is no part of a site's file", "let the program read it from its environment", "variables", str(name))
        return value

    def _backend(self) -> Mapping[str, Any]:
        value = self.given.get("backend") or {}
        if not isinstance(value, dict) or len(value) > 1 or not all(isinstance(item, dict) for item in value.values()):
            self._wrong("backend is no mapping of one type to its settings", "write `backend: {s3: {bucket: state}}`", "backend")
            return {}
        return value
