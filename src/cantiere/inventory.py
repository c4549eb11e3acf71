"""Body of the inventory plugin: the machines of a site and the variables of the roles that converge them. It never writes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.engine import preferred
from cantiere.site import load

COMPOSE_GROUP = "compose_hosts"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as Ansible sees it.

    Parameters
    ----------
    name:
        Inventory host name.
    groups:
        Groups that it is in.
    variables:
        Its host variables.
    """

    name: str
    groups: tuple[str, ...]
    variables: dict[str, Any]


def machines(source: Path) -> list[Machine]:
    """The machines of a site.

    Parameters
    ----------
    source:
        ``inventories/<site>/cantiere.yml``.

    Raises
    ------
    TemplateError
        The site is invalid.
    """
    site = load(source)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "container_engine_name": preferred(site.engine),
        "container_engine_state_dir": str(site.state_dir),
        "compose_site": str(site.file),
    }
    return [Machine(site.name, (COMPOSE_GROUP,), variables)]
