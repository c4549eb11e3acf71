"""The API server of a cluster: plain objects in, plain objects out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cantiere.errors import CantiereError, Problem

FIELD_MANAGER = "cantiere"
TIMEOUT = 30.0
PAGE = 200
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
DISCOVERY = "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2"
JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
NOT_FOUND = 404
Object = dict[str, Any]


class ApiError(CantiereError):
    """The API server refused, or cannot be reached.

    Parameters
    ----------
    status:
        HTTP status; 0 where there was no answer.
    message:
        What it says.
    path:
        What was asked for.
    """

    def __init__(self, status: int, message: str, path: str) -> None:
        self.status = status
        self.said = message
        remedy = {
            0: "check the kubeconfig, its context, and the network to the API server",
            401: "the kubeconfig's credentials are not valid (any more): get new ones",
            403: "ask the cluster's administrator for this right, see the preflight's list",
        }.get(status, "mend what it says, then run the same command again")
        code = {0: "cluster.silent", 401: "cluster.credentials", 403: "cluster.rights"}.get(status, "cluster.refused")
        super().__init__(Problem(code, f"the cluster says {status or 'nothing'}: {message}", remedy, path=path))


class Api(Protocol):
    """What the rest of this package asks of a cluster."""

    def get(self, path: str, accept: str = "", **query: str) -> Object | None:
        """One object, or None where it is not there."""

    def list(self, path: str, accept: str = "", **query: str) -> list[Object]:
        """All objects of a collection; none where the cluster does not know such objects."""

    def apply(self, path: str, item: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Server-side apply in our name."""

    def create(self, path: str, item: Mapping[str, Any]) -> Object:
        """Make an object, or ask a review."""

    def patch(self, path: str, item: Mapping[str, Any]) -> Object:
        """Merge into an object."""

    def delete(self, path: str) -> None:
        """Remove an object; nothing where it is gone."""


class KubeApi:
    """The API server that a kubeconfig names.

    Parameters
    ----------
    kubeconfig:
        The file.
    context:
        Its context; ``""`` takes the current one.

    Raises
    ------
    CantiereError
        The file cannot be read or has no such context.
    """

    def __init__(self, kubeconfig: Path, context: str = "") -> None:
        from kubernetes import config

        try:
            self._client = config.new_client_from_config(str(kubeconfig), context or None)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError, TypeError) as error:
            raise CantiereError(
                Problem(
                    "cluster.kubeconfig",
                    f"the kubeconfig cannot be used: {error}",
                    "set provider.kubeconfig and provider.context of the site to a file and a context that kubectl can use",
                    path=str(kubeconfig),
                )
            ) from error

    def core(self) -> Any:
        """A core API over a connection of its own, for streams into pods: they take a connection over."""
        from kubernetes import client

        return client.CoreV1Api(client.ApiClient(self._client.configuration))

    def get(self, path: str, accept: str = "", **query: str) -> Object | None:
        """One object, or None where it is not there."""
        try:
            return self._ask("GET", path, query=query, accept=accept)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def list(self, path: str, accept: str = "", **query: str) -> list[Object]:
        """All objects of a collection, page by page; none where the cluster does not know such objects."""
        found: list[Object] = []
        more = {"limit": str(PAGE), **query}
        while True:
            page = self.get(path, accept, **more)
            if page is None:
                return found
            found += page.get("items") or []
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            more["continue"] = token

    def apply(self, path: str, item: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Server-side apply in our name; fields that another manager holds are taken over."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        return self._ask("PATCH", path, item, APPLY, query)

    def create(self, path: str, item: Mapping[str, Any]) -> Object:
        """Make an object, or ask a review."""
        return self._ask("POST", path, item)

    def patch(self, path: str, item: Mapping[str, Any]) -> Object:
        """Merge into an object."""
        return self._ask("PATCH", path, item, MERGE, {"fieldManager": FIELD_MANAGER})

    def delete(self, path: str) -> None:
        """Remove an object; nothing where it is gone."""
        try:
            self._ask("DELETE", path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> Object:
        from urllib.parse import urlencode

        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers: dict[str, str] = {"Accept": accept or JSON, "Content-Type": content}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._client.configuration.host}{path}{f'?{urlencode(query)}' if query else ''}"
        try:
            answer = self._client.rest_client.request(method, url, headers=headers, body=body, _request_timeout=TIMEOUT)
            data, status = answer.read(), answer.status
        except ApiException as error:
            data, status = error.body, error.status or 0
            if not status:
                raise ApiError(0, str(error.reason), path) from error
        except (HTTPError, OSError) as error:
            raise ApiError(0, f"{type(error).__name__}: {error}", path) from error
        try:
            found: Object = json.loads(data)
        except (ValueError, TypeError):
            found = {"message": (data or b"").decode(errors="replace")[:500] if isinstance(data, bytes) else str(data)[:500]}
        if not 200 <= status < 300:
            raise ApiError(status, str(found.get("message", found))[:1500], path)
        return found


class Paths:
    """Where objects of a kind are found under the API server, as its own discovery says.

    Parameters
    ----------
    api:
        The cluster.
    """

    def __init__(self, api: Api) -> None:
        self.api = api
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def of(self, item: Mapping[str, Any], namespace: str) -> str | None:
        """The path of an object, or None where the cluster does not know its kind.

        Parameters
        ----------
        item:
            It has ``apiVersion``, ``kind`` and ``metadata.name``.
        namespace:
            Where it goes if it names none and its kind has one.
        """
        version = str(item["apiVersion"])
        if version not in self._known:
            self._known[version] = self._look(version)
        found = self._known[version].get(str(item["kind"]))
        if found is None:
            return None
        plural, namespaced = found
        head = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inside = f"/namespaces/{item['metadata'].get('namespace') or namespace}" if namespaced else ""
        return f"{head}{inside}/{plural}/{item['metadata']['name']}"

    def served(self, version: str) -> list[str]:
        """Kinds of an API version that the cluster serves."""
        if version not in self._known:
            self._known[version] = self._look(version)
        return list(self._known[version])

    def _look(self, version: str) -> dict[str, tuple[str, bool]]:
        found = self.api.get(f"/apis/{version}" if "/" in version else f"/api/{version}") or {}
        return {
            entry["kind"]: (entry["name"], bool(entry["namespaced"])) for entry in found.get("resources", ()) if "/" not in entry["name"]
        }
