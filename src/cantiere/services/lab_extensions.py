"""Extensions of JupyterLab for Rucio, REANA and Zenodo: which are on, and what notebooks are told of their servers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cantiere.errors import Problem
from cantiere.model import Node

IMAGE = "lab-extensions"
"""The image of ours that has them."""
CATALOGUE, WORKFLOWS = "catalogue", "workflows"
"""Requirements of a hub by which servers of the template are found."""
OUTSIDE: Mapping[str, str] = {CATALOGUE: "rucio_url", WORKFLOWS: "reana_url"}
"""Those requirements, and what names a server outside in their place."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What the extensions talk to.

    Parameters
    ----------
    rucio, rucio_auth, rucio_page:
        Addresses of Rucio's server, of the one that hands out its tokens, and of its web page; ``""`` where there is none.
    reana:
        Address of REANA.
    zenodo:
        Whether the extension for Zenodo is on; it knows its server by itself.
    """

    rucio: str = ""
    rucio_auth: str = ""
    rucio_page: str = ""
    reana: str = ""
    zenodo: bool = False

    @property
    def on(self) -> tuple[str, ...]:
        """The extensions that are on."""
        found = {"rucio": self.rucio, "reana": self.reana, "zenodo": self.zenodo}
        return tuple(name for name, server in found.items() if server)


def outside(node: Node) -> Servers:
    """The servers that a hub's properties name."""
    told = node.properties.get("lab_extensions", {})
    rucio = str(told.get("rucio_url", ""))
    return Servers(
        rucio=rucio,
        rucio_auth=str(told.get("rucio_auth_url", "")) or rucio,
        reana=str(told.get("reana_url", "")),
        zenodo=bool(told.get("zenodo", False)),
    )


def environment(servers: Servers, token_file: str, ca: str) -> dict[str, str]:
    """Variables for notebooks, by the names that the extensions and their own images document; none where no extension is on.

    Parameters
    ----------
    servers:
        What they talk to.
    token_file:
        Where the user's token is kept; Rucio takes it. REANA and Zenodo ask the user for tokens of their own.
    ca:
        File with the authorities that are trusted.
    """
    if not servers.on:
        return {}
    found = {"CANTIERE_LAB_EXTENSIONS": ",".join(servers.on)}
    if servers.rucio:
        name = urlsplit(servers.rucio).hostname or ""
        found |= {
            "RUCIO_NAME": name,
            "RUCIO_DISPLAY_NAME": name,
            "RUCIO_BASE_URL": servers.rucio,
            "RUCIO_AUTH_URL": servers.rucio_auth,
            **({"RUCIO_WEBUI_URL": servers.rucio_page} if servers.rucio_page else {}),
            "RUCIO_CA_CERT": ca,
            "RUCIO_MODE": "download",
            "RUCIO_OIDC_AUTH": "file",
            "RUCIO_OIDC_FILE_NAME": token_file,
            "RUCIO_DEFAULT_AUTH_TYPE": "oidc",
            "RUCIO_DEFAULT_INSTANCE": name,
        }
    if servers.reana:
        # the extension refuses names of a cluster unless they are listed
        found |= {"REANA_SERVER_URL": servers.reana, "REANA_ALLOWED_SERVER_HOSTS": urlsplit(servers.reana).hostname or ""}
    return found


def check(node: Node) -> list[Problem]:
    """Servers that are named twice, and extensions that no image on the spawn page can have."""
    path = f"topology_template.node_templates.{node.name}.properties"
    told = node.properties.get("lab_extensions", {})
    problems = [
        Problem(
            "hub.extension",
            f"{node.name} requires {node.target(requirement)} as {requirement}, and {name} names another server",
            f"leave out {name}, or the requirement",
            node.where,
            f"{path}.lab_extensions.{name}",
        )
        for requirement, name in OUTSIDE.items()
        if node.target(requirement) and told.get(name)
    ]
    images = [str(item["image"]) for item in node.properties["images"]]
    wanted = [*outside(node).on, *(requirement for requirement in OUTSIDE if node.target(requirement))]
    if wanted and not any(name == IMAGE or not re.fullmatch(r"[a-z0-9._-]+", name) for name in images):
        problems.append(
            Problem(
                "hub.extension",
                f"extensions of JupyterLab are on, and no image on the spawn page of {node.name} has them",
                f"list the image {IMAGE}, for example {{title: Analysis with Rucio, image: {IMAGE}}}",
                node.where,
                f"{path}.images",
            )
        )
    return problems
