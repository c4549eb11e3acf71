"""A cluster in memory: objects by their path, and what was done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cantiere.cluster.client import ApiError


class FakeApi:
    """Answers like an API server that holds ``objects``."""

    def __init__(self, objects: Mapping[str, Any] | None = None) -> None:
        self.objects: dict[str, Any] = dict(objects or {})
        self.done: list[tuple[str, str]] = []
        self.forbidden: set[str] = set()

    def get(self, path: str, accept: str = "", **query: str) -> dict[str, Any] | None:
        if path in self.forbidden:
            raise ApiError(403, "no", path)
        return self.objects.get(path)

    def list(self, path: str, accept: str = "", **query: str) -> list[dict[str, Any]]:
        if path in self.forbidden:
            raise ApiError(403, "no", path)
        found = self.objects.get(path, [])
        wanted = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part and "!=" not in part]
        unwanted = [part.partition("!=") for part in query.get("labelSelector", "").split(",") if "!=" in part]
        return [
            item
            for item in found
            if all(labels(item).get(key) == value for key, _, value in wanted)
            and all(labels(item).get(key) != value for key, _, value in unwanted)
        ]

    def apply(self, path: str, item: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self.done.append(("rehearse" if dry_run else "apply", path))
        if not dry_run:
            self.objects[path] = dict(item)
        return dict(item)

    def create(self, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
        asked = item["spec"]["resourceAttributes"]
        return {"status": {"allowed": asked["resource"] not in self.forbidden}}

    def patch(self, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
        self.done.append(("patch", path))
        self.objects[path] = {**self.objects.get(path, {}), **item}
        return self.objects[path]

    def delete(self, path: str) -> None:
        self.done.append(("delete", path))


def labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = item["metadata"].get("labels") or {}
    return found
