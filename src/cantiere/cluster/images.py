"""Our own images in the registry that the cluster's nodes ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from cantiere import artifacts, imagebuild
from cantiere.engine import detect, preferred
from cantiere.errors import CantiereError, Problem
from cantiere.machines.fleet import Fleet
from cantiere.model import Secret
from cantiere.secrets import SecretStore
from cantiere.site import Site
from cantiere.supply import push as pushing
from cantiere.supply.push import Registry

_BUILDING = threading.Lock()


def registry_of(site: Site, fleet: Fleet | None, store: SecretStore) -> Registry | None:
    """The registry of a site: that of its own machines, the one that its file names, or None.

    Parameters
    ----------
    site:
        Its key ``registry`` has ``address``, and where it asks for a password ``user`` and ``password`` (a reference).
    fleet:
        The site's machines.
    store:
        The site's secrets.
    """
    given = site.registry
    if given.get("address"):
        password = store.value(Secret("registry", str(given["password"]))) if given.get("password") else ""
        ca = Path(str(given["ca"])) if given.get("ca") else None
        return Registry(str(given["address"]), user=str(given.get("user", "")), password=password, ca=ca)
    return fleet.image_registry() if fleet else None


def pushed(registry: Registry) -> tuple[frozenset[str], Problem | None]:
    """Names of our images that the registry has in the version that is wanted, and why it cannot be asked for them where it cannot."""
    tags = {name: image.reference.rpartition(":")[2] for name, image in artifacts.catalogue().items()}
    try:
        return frozenset(tags) - frozenset(pushing.missing(tags, registry)), None
    except CantiereError as error:
        return frozenset(), error.problems[0]


def push(name: str, site: Site, registry: Registry, log: Callable[[str], None]) -> None:
    """Bring an image into the registry; it is made on this machine where its engine does not have it.

    Raises
    ------
    CantiereError
        There is no container engine, the image cannot be made, or the registry refuses it.
    """
    engine = detect(preferred(site.engine), site.state_dir)
    if engine is None:
        raise CantiereError(
            Problem(
                "engine.missing",
                f"image {name} has to be made or taken from this machine's container engine, and there is none",
                "install podman, or push the images from a machine that has one",
                path=name,
            )
        )
    with _BUILDING:  # images share parents, which nobody must make twice at the same time
        here = set(engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split())
        for image in artifacts.chain((name,)):
            if image.reference not in here:
                imagebuild.build(engine, image, site, log)
    pushing.push([name], registry, engine, log)
