"""A release of any chart, with the values that the template gives. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values.addons import broken, enabled
from cantiere.values.model import Context, Release, SecretObject

TYPE = "cantiere.nodes.HelmRelease"
TAKEN = frozenset({"kube-system", "kube-public", "kube-node-lease", "default"})


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The release as the template writes it; its values are passed on as they are, and nothing in them is evaluated here."""
    told = node.properties
    secrets = tuple(
        SecretObject(name, tuple(SecretFile(Secret(f"{node.name}-{name}-{key}", source), key) for key, source in sorted(keys.items())))
        for name, keys in sorted(told["secrets"].items())
    )
    return (
        Release(
            name=node.name,
            namespace=str(told["namespace"]) or context.namespace,
            chart=chart(node),
            values=told["values"] or {},
            node=node.name,
            needs=tuple(told["needs"]),
            installed=enabled(node),
            secrets=secrets,
            pod_security=told["pod_security"],
            owns=tuple(told["owns"]),
            timeout=int(told["timeout"]),
        ),
    )


def chart(node: Node) -> str:
    """Name by which the chart is pinned: its own, or one with the node's name in it where the node itself says where it comes from."""
    told = node.properties
    return f"{node.name}.{told['chart']}" if told["repository"] or told["folder"] else str(told["chart"])


def pins(facility: Facility, folder: str) -> dict[str, dict[str, Any]]:
    """Where the charts come from that nodes bring themselves, as entries of the section ``charts`` of ``artifacts.yaml``.

    Parameters
    ----------
    facility:
        What the template declares.
    folder:
        The template's folder, which the charts' folders are below.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in facility.of_type(TYPE):
        told = node.properties
        if told["folder"]:
            found[chart(node)] = {"folder": f"{folder}/{told['folder']}"}
        elif told["repository"]:
            file = str(told["file"]) or f"{str(told['repository']).rstrip('/')}/{told['chart']}-{{version}}.tgz"
            upstream = {"repository": told["repository"], "chart": told["chart"], "file": file, "sha256": told["sha256"]}
            found[chart(node)] = {"version": told["version"], "upstream": upstream}
    return found


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a release, and values that Helm cannot be given."""
    told = node.properties
    values = told["values"]
    from_repository, from_folder = bool(told["repository"]), bool(told["folder"])
    wrong_values = sorted(set(_unusable(values))) if isinstance(values, Mapping) else []
    rules = (
        ("origin", from_repository and from_folder, "its chart comes from a repository and from a folder", "keep one of the two"),
        (
            "pin",
            from_repository and not (told["version"] and told["sha256"]),
            "its chart comes from a repository without a version and the digest of its file",
            "set version and sha256",
        ),
        (
            "version",
            not from_repository and bool(told["version"] or told["sha256"]),
            "version and sha256 count for a chart of a repository only",
            "set repository, or remove them",
        ),
        ("folder", ".." in str(told["folder"]).split("/"), "the chart's folder is outside of the template's", "put it below the template"),
        ("values", not isinstance(values, Mapping), f"values are a map, not {values!r}", "write keys and values"),
        (
            "value",
            bool(wrong_values),
            f"Helm takes no value like that at {', '.join(wrong_values)}",
            "use text, numbers, true, false, null, lists and maps with text as keys",
        ),
        ("namespace", told["namespace"] in TAKEN, f"{told['namespace']} belongs to Kubernetes itself", "choose a namespace of its own"),
        ("needs", node.name in told["needs"], "it needs itself", "remove it from needs"),
    )
    return broken("release", node, rules)


def _unusable(value: Any, path: str = "") -> Iterator[str]:
    """Places of what JSON has no word for."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{path}.{key}".lstrip(".")
            yield from _unusable(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _unusable(item, f"{path}[{index}]")
    elif isinstance(value, date | bytes | set) or (isinstance(value, float) and not math.isfinite(value)):
        yield path.lstrip(".")
