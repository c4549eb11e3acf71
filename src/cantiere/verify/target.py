"""The facility that is verified: names, addresses, and control of its containers. The steps know it only through this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cantiere.verify.tokens import TokenClient


@dataclass(frozen=True, slots=True)
class Output:
    """What a command inside a container came to."""

    code: int
    stdout: str
    stderr: str


class Control(Protocol):
    """Power over the facility's containers, by their short names."""

    def exec(self, container: str, command: Sequence[str], timeout: float = 60.0) -> Output:
        """Run a command inside a container as root, or as the user of a pod; a failure is returned, not raised."""

    def stop(self, container: str) -> None:
        """Stop a container in good order."""

    def kill(self, container: str) -> None:
        """End a container with SIGKILL."""

    def start(self, container: str) -> None:
        """Start a container that was stopped or killed, and wait until its probe passes."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Short container names of the facility's parts; empty where the template has no such part.

    Parameters
    ----------
    iam, hub, store, monitoring, software:
        Single containers.
    guard:
        What stands between the hub and the container engine of one machine.
    origin, caches:
        The storage, and the caches before it from the outermost (nearest to the users) to the innermost.
    servers:
        The single servers of those caches that are several behind a redirector.
    access_point, workers:
        The pool; of the execute points those that were there at the beginning.
    """

    iam: str = ""
    hub: str = ""
    store: str = ""
    monitoring: str = ""
    software: str = ""
    guard: str = ""
    origin: str = ""
    caches: tuple[str, ...] = ()
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    access_point: str = ""
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A running facility.

    Parameters
    ----------
    prefix:
        Prefix of the containers' names in the engine.
    domain:
        DNS domain of the containers; their names resolve on this machine.
    parts:
        Names of its containers.
    ca:
        File with the certificate of the facility's CA.
    control:
        Power over the containers.
    password:
        Gives the password of a user of the development IAM.
    users:
        Users of the development IAM and their groups.
    allowed_groups:
        Groups whose members may log in and submit.
    token_client, short_client:
        Clients of the IAM through which tokens are had; those of the second expire within seconds.
    namespace, storage:
        Path that the origin and the caches export, and the folder of their containers that holds it.
    bucket, role_arn:
        The object store's first bucket, and the role for temporary keys.
    prometheus_url:
        URL of Prometheus; ``""`` where the facility has none.
    hub_socket:
        Path, inside the hub's container, of the socket by which it asks for notebooks.
    repository:
        Name of the CVMFS repository; empty where CVMFS is off.
    examples:
        Folder of the example analysis.
    workers:
        Short names of the execute points that are there now.
    reach:
        Entered while the facility is used from this machine: what makes its names reachable.
    """

    prefix: str
    domain: str
    parts: Parts
    ca: Path
    control: Control
    password: Callable[[str], str]
    token_client: TokenClient
    short_client: TokenClient
    users: Mapping[str, Sequence[str]]
    allowed_groups: Sequence[str]
    namespace: str
    storage: str
    bucket: str
    role_arn: str
    prometheus_url: str
    hub_socket: str
    repository: str
    examples: Path
    workers: Callable[[], Sequence[str]]
    reach: Callable[[], AbstractContextManager[object]] = nullcontext

    def fqdn(self, container: str) -> str:
        """Host name of a container."""
        return f"{container}.{self.domain}"

    @property
    def issuer(self) -> str:
        """URL of the IAM."""
        return f"https://{self.fqdn(self.parts.iam)}:8443"

    @property
    def hub_url(self) -> str:
        """URL of the hub."""
        return f"https://{self.fqdn(self.parts.hub)}:8000"

    @property
    def store_url(self) -> str:
        """URL of the object store."""
        return f"https://{self.fqdn(self.parts.store)}:9000"

    @property
    def cache(self) -> str:
        """Short name of the cache that users read through."""
        return self.parts.caches[0] if self.parts.caches else ""

    def servers(self, cache: str) -> tuple[str, ...]:
        """Short names of a cache's servers."""
        return self.parts.servers.get(cache, (cache,))

    def https(self, cache: str, server: str) -> str:
        """URL of a cache's server for requests by https, which a redirector does not take."""
        return f"https://{self.fqdn(server if server == cache else f'{server}.{cache}-servers')}:8443{self.namespace}"

    def members(self) -> list[str]:
        """Users who may use the facility, in the order of the template."""
        return [name for name, groups in self.users.items() if not self.allowed_groups or set(groups) & set(self.allowed_groups)]

    def outsiders(self) -> list[str]:
        """Users of the IAM who may not use the facility."""
        members = self.members()
        return [name for name in self.users if name not in members]
