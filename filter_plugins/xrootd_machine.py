"""Filters of the role xrootd_machine. Thin: the bodies are :mod:`cantiere.services.xrootd_machine` and :mod:`cantiere.image_files`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cantiere import pki
from cantiere.image_files import REPOSITORY, programs, rendered, templates
from cantiere.services import xrootd_machine as machine


def texts(given: Mapping[str, Any]) -> dict[str, str]:
    """The files of the machine that are no secrets: path to text."""
    told, role = machine.settings(given), str(given["role"])
    files = rendered(templates("xrootd"), told, role) | rendered(REPOSITORY / "roles/xrootd_machine/templates", told, role)
    carried = programs("xrootd", "probe", *(["renew-proxy"] if role == "cache" else []))
    return files | {f"{machine.LIBEXEC}/{machine.PROGRAMS[name]}": text for name, text in carried.items()}


def manifest(given: Mapping[str, Any], texts: Mapping[str, str], secrets: Mapping[str, str], observed: Sequence[str]) -> dict[str, Any]:
    """What stands on the machine."""
    return machine.manifest(given, texts, secrets, pki.subject_hash(secrets["ca"]), observed)


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "xrootd_machine_texts": texts,
            "xrootd_machine_manifest": manifest,
            "xrootd_machine_packages": machine.packages,
            "xrootd_machine_refusals": machine.refusals,
        }
