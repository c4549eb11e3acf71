"""Objects of a site in a project: looked for by name and mark, made where they are missing, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cantiere.providers.openstack.cloud import Cloud


class Kept:
    """What looks for a site's objects, makes them and removes them.

    Parameters
    ----------
    cloud:
        Where they are.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.prefix = cloud, cloud.prefix

    @property
    def net(self) -> Any:
        """The SDK's calls of the network service."""
        return self.cloud.connection.network

    @property
    def compute(self) -> Any:
        """The SDK's calls of the compute service."""
        return self.cloud.connection.compute

    def make(self, what: str, find: Callable[[], Any], make: Callable[[], Any]) -> Any:
        """Make something unless it is there; after a lost answer it is looked for again before it is made again."""
        return self.cloud.ask(lambda: find() or make(), f"to make the {what}", self.prefix)

    def remove(self, what: str, items: Iterable[Any], delete: Callable[[Any], Any]) -> None:
        """Remove them all."""
        for item in items:
            self.cloud.ask(partial(delete, item), f"to remove the {what}", str(item.name))

    def listed(self, what: str, listing: Callable[..., Any], **query: Any) -> list[Any]:
        """What a call of the SDK lists."""
        return self.cloud.ask(lambda: list(listing(**query)), f"to list {what}")

    def mine(self, what: str, listing: Callable[..., Any], **query: Any) -> list[Any]:
        """What it lists of the project."""
        return self.listed(what, listing, project_id=self.cloud.project, **query)

    def shared(self, what: str, listing: Callable[..., Any], **query: Any) -> list[Any]:
        """What it lists of the project that carries our mark and belongs to no machine."""
        return self.cloud.ours(self.mine(what, listing, **query), "")

    def first(self, what: str, listing: Callable[..., Any], **query: Any) -> Any:
        """The first that it lists of those, or None."""
        return next(iter(self.shared(what, listing, **query)), None)

    def named(self, what: str, listing: Callable[[], Any]) -> list[Any]:
        """Those that it lists whose names are the site's with a lineage of ours: of kinds that nobody can describe."""
        names = {f"{self.prefix}-{lineage}" for lineage in self.cloud.lineages()}
        return [item for item in self.listed(what, listing) if item.name in names]
