"""Releases as a helmfile: the document, the values files beside it, and what its reader has to know. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cantiere.values.model import Release

DIGEST = "cantiere.io/digest"
"""Label of a Helm release: digest of its chart and its values."""
FACILITY = "cantiere.io/facility"
"""Label of everything that is made for a facility: prefix of its site."""
DIGEST_LENGTH = 32
NAMESPACES = "namespaces"
"""Our chart, and the release of it, that makes the namespaces where nothing else does."""
NAMESPACES_HOME = "default"
HISTORY = 5
OCI = "oci://"


@dataclass(frozen=True, slots=True)
class Source:
    """Where helmfile finds a chart.

    Parameters
    ----------
    folder:
        Its folder, absolute or below that of the helmfile; ``""`` where it comes from a repository.
    repository, chart, version:
        Of a chart that comes from one.
    """

    folder: str = ""
    repository: str = ""
    chart: str = ""
    version: str = ""


def digest(release: Release, chart: str) -> str:
    """What tells a deployed release from the one that is wanted, short enough for a label.

    Parameters
    ----------
    release:
        With its final values.
    chart:
        Digest of the chart's content.
    """
    made_from = [chart, release.namespace, release.crds, release.values]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def document(
    releases: Sequence[Release],
    digests: Mapping[str, str],
    sources: Mapping[str, Source],
    facility: str,
    *,
    namespaces: bool = False,
    context: str = "",
    new: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The content of a ``helmfile.yaml``.

    Parameters
    ----------
    releases:
        All of them, each after those it needs.
    digests:
        Release to its digest.
    sources:
        Chart to where it is found.
    facility:
        Prefix of the site.
    namespaces:
        Whether a first release makes the namespaces.
    context:
        Context of the kubeconfig; ``""`` takes the current one.
    new:
        Releases of which no revision works yet: a failure leaves their pods, since there is nothing to go back to.
    """
    aliases = repositories(sources)
    entries = [_namespaces()] if namespaces else []
    spaces = {release.name: release.namespace for release in releases}
    for release in releases:
        needs = [f"{spaces[name]}/{name}" for name in release.needs if name in spaces]
        if namespaces:
            needs = [f"{NAMESPACES_HOME}/{NAMESPACES}", *needs]
        entry: dict[str, Any] = {
            "name": release.name,
            "namespace": release.namespace,
            "installed": release.installed,
            **_chart(sources[release.chart], aliases),
            "labels": {DIGEST: digests[release.name], FACILITY: facility},
            "timeout": release.timeout,
            "values": [f"values/{release.name}.yaml"],
        }
        if needs and release.installed:
            entry["needs"] = needs
        if release.name in new:
            entry["atomic"] = False
        entries.append(entry)
    defaults = {
        "atomic": True,  # a failed upgrade rolls back
        "wait": True,
        "waitForJobs": True,
        "timeout": 600,
        "historyMax": HISTORY,
        "createNamespace": False,
        "syncReleaseLabels": True,
        "skipDeps": True,
        "deleteWait": True,
        "disableValidation": True,  # of helm-diff alone: it asks Helm 4 for what that refuses
        **({"kubeContext": context} if context else {}),
    }
    listed = [
        {"name": alias, "url": url.removeprefix(OCI), **({"oci": True} if url.startswith(OCI) else {})} for url, alias in aliases.items()
    ]
    return {**({"repositories": listed} if listed else {}), "helmDefaults": defaults, "releases": entries}


def repositories(sources: Mapping[str, Source]) -> dict[str, str]:
    """Address of each chart repository to the name that the helmfile gives it."""
    found: dict[str, str] = {}
    for name, source in sorted(sources.items()):
        if source.repository and source.repository not in found:
            found[source.repository] = name
    return found


def _chart(source: Source, aliases: Mapping[str, str]) -> dict[str, str]:
    if source.folder:
        return {"chart": source.folder}
    return {"chart": f"{aliases[source.repository]}/{source.chart}", "version": source.version}


def _namespaces() -> dict[str, Any]:
    """The release that makes namespaces; it has no label of the facility, since only this folder knows it."""
    return {
        "name": NAMESPACES,
        "namespace": NAMESPACES_HOME,
        "chart": f"./charts/{NAMESPACES}",
        "values": [f"values/{NAMESPACES}.yaml"],
    }


def readme(releases: Sequence[Release], facility: str, images: Sequence[str], assumed: Sequence[str]) -> str:
    """What whoever runs the folder has to know.

    Parameters
    ----------
    releases:
        All of them.
    facility:
        Prefix of the site.
    images:
        References of the facility's own images.
    assumed:
        Facts of the cluster that were not known when the values were made, in words.
    """
    secrets = [
        f"| `{release.namespace}` | `{secret.name}` | `{secret.type}` | {', '.join(f'`{item.file}`' for item in secret.files)} | "
        f"{release.name} |"
        for release in releases
        if release.installed
        for secret in release.secrets
    ]
    lines = [
        f"# {facility} as a helmfile",
        "",
        "Needs a cluster, [Helm](https://helm.sh) 4 and [helmfile](https://helmfile.readthedocs.io) 1.8 or newer; nothing else.",
        "",
        "```sh",
        "helmfile sync     # installs and upgrades everything, each release after those it needs",
        "helmfile apply    # the same for what differs; needs the plugin helm-diff (helmfile init installs it)",
        "helmfile destroy  # takes everything away again",
        "```",
        "",
        f"`charts/` holds the charts, `values/` what they are installed with. The release `{NAMESPACES}` makes the namespaces that are "
        "not there, with their pod-security labels.",
        "",
    ]
    if images:
        lines += ["## Images", "", "Nodes have to find these images of the facility's own:", "", *(f"- `{image}`" for image in images), ""]
    if secrets:
        lines += [
            "## Secrets",
            "",
            "No value holds a secret. These Secrets have to be there before the releases that name them; a namespace may be made by hand "
            "for it.",
            "",
            "| namespace | Secret | type | keys | release |",
            "| --- | --- | --- | --- | --- |",
            *secrets,
            "",
        ]
    if assumed:
        lines += ["## Assumed", "", "These facts of the cluster were not known when this was written:", ""]
        lines += [*(f"- {text}" for text in assumed), ""]
    return "\n".join(lines)
