"""Inventory plugin: the machines of a cantiere site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = r"""
name: cantiere
short_description: Machines of a cantiere site
description:
  - Reads a site (C(inventories/<site>/cantiere.yml)) and gives its machines, their groups, and the variables of their roles.
  - It only looks, and never writes.
author: cantiere
options:
  plugin:
    description: Marks the file as a source of this plugin.
    required: true
    choices: [cantiere]
"""


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Thin: the body is :mod:`cantiere.inventory`."""

    NAME = "cantiere"

    def verify_file(self, path: str) -> bool:
        """Whether the file is a site."""
        return bool(super().verify_file(path)) and Path(path).name in ("cantiere.yml", "cantiere.yaml")

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory from a site."""
        super().parse(inventory, loader, path, cache)
        from cantiere.errors import CantiereError
        from cantiere.inventory import machines

        try:
            found = machines(Path(path))
        except CantiereError as error:
            raise AnsibleParserError(str(error)) from error
        for machine in found:
            self.inventory.add_host(machine.name)
            for group in machine.groups:
                self.inventory.add_group(group)
                self.inventory.add_host(machine.name, group=group)
            for key, value in machine.variables.items():
                self.inventory.set_variable(machine.name, key, value)
