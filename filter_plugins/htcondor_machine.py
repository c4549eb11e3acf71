"""Filters of the role htcondor_machine. Thin: the bodies are :mod:`cantiere.services.htcondor_machine` and :mod:`cantiere.image_files`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.image_files import REPOSITORY, programs, rendered, templates
from cantiere.services import htcondor_machine as machine


def texts(given: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, str]:
    """The files of the machine that are no secrets: path to text."""
    told, role = machine.settings(given, facts), " ".join(machine.ordered(given["roles"]))
    files = rendered(templates("htcondor"), told, role) | rendered(REPOSITORY / "roles/htcondor_machine/templates", told, role)
    carried = programs("htcondor", *(f"libexec/{name}" for name in machine.PROGRAMS))
    return files | {f"{machine.LIBEXEC}/{path.rpartition('/')[2]}": text for path, text in carried.items()}


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "htcondor_machine_texts": texts,
            "htcondor_machine_manifest": machine.manifest,
            "htcondor_machine_packages": machine.packages,
            "htcondor_machine_refusals": machine.refusals,
        }
