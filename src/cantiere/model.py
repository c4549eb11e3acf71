"""What every room shares: the facility, and what it becomes on one machine. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cantiere.errors import Location
from cantiere.workflows.model import Workflow


class Clause(Protocol):
    """A constraint clause of the template."""

    def broken(self, value: Any) -> str:
        """What is wrong with a value, as the end of ``it …``; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a node filter asks of one property of something that is not in the template.

    Parameters
    ----------
    capability:
        The capability that has the property, or ``""`` where the node itself has it.
    property:
        Its name.
    clauses:
        What its value has to fulfil.
    where:
        Where it is written.
    """

    capability: str
    property: str
    clauses: tuple[Clause, ...]
    where: Location = field(compare=False)


@dataclass(frozen=True, slots=True)
class Expression:
    """A value that only the running facility knows.

    Parameters
    ----------
    function:
        ``get_attribute``, ``get_operation_output``, ``get_artifact``, or a function that makes one value of such ones.
    type:
        The TOSCA type of the value; ``any`` where none is declared.
    node:
        The node that it asks; ``""`` where that is for the function's arguments to say.
    path:
        Attribute, operation's output or artifact: the names after the node's.
    where:
        Where it is written.
    """

    function: str
    type: str
    node: str
    path: tuple[str, ...]
    where: Location = field(compare=False)

    def __str__(self) -> str:
        words = ", ".join((self.node, *self.path)) or "…"
        return f"{self.function} [{words}], of type {self.type}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node template with every value resolved.

    Parameters
    ----------
    name:
        The node template's name.
    type:
        Its TOSCA node type, for example ``cantiere.nodes.HTCondorPool``.
    properties:
        Resolved values: scalar-unit.size in bytes (int), scalar-unit.time in seconds (float), scalars of
        TOSCA 2.0 in their canonical unit, the rest as YAML gives them.
    requirements:
        Requirement name to the names of the nodes that fulfil it, in the order written.
    where:
        Where the node template is written.
    filters:
        Requirement that the site's provider fulfils, to what its node filter asks for.
    late:
        Property, with the path into it, to what asks for its value; the value is None.
    """

    name: str
    type: str
    properties: Mapping[str, Any]
    requirements: Mapping[str, tuple[str, ...]]
    where: Location = field(compare=False)
    filters: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    late: Mapping[str, Expression] = field(default_factory=dict)

    def target(self, requirement: str) -> str | None:
        """The first node that fulfils a requirement, or None where it has none."""
        names = self.requirements.get(requirement, ())
        return names[0] if names else None


@dataclass(frozen=True, slots=True)
class Facility:
    """What the template declares, typed and checked, independent of where it goes.

    Parameters
    ----------
    name:
        The template's ``metadata.template_name``.
    description:
        The template's description.
    nodes:
        All nodes, each after those it requires.
    outputs:
        Output name to its value, or to None where only the running facility can tell.
    workflows:
        Imperative workflows by name.
    late:
        Output, with the path into it, to what asks for its value.
    """

    name: str
    description: str
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Any]
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    late: Mapping[str, Expression] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises
        ------
        KeyError
            There is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """Values that only the running facility knows, each with its place: ``pool.address``, ``outputs.url``."""
        for node in self.nodes:
            for path, expression in node.late.items():
                yield f"{node.name}.{path}", expression
        for path, expression in self.late.items():
            yield f"outputs.{path}", expression

    def of_type(self, type_name: str) -> tuple[Node, ...]:
        """All nodes of exactly that type, in order."""
        return tuple(node for node in self.nodes if node.type == type_name)


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret; its value is never part of the model.

    Parameters
    ----------
    name:
        The key in the site's store, for example ``iam-client-hub``.
    source:
        ``generate:password``, ``generate:rsa-key``, ``generate:ca``, ``generate:certificate``, ``generate:idtoken``,
        ``env:NAME``, ``file:PATH`` or ``vault:NAME``.
    parameters:
        What the generator needs: for a certificate ``common_name`` and ``names`` (comma separated DNS names and addresses);
        for an idtoken ``identity``, ``issuer``, ``key`` (the name of the secret it is signed with) and ``scope``.
    """

    name: str
    source: str = "generate:password"
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret shown to a container as ``/run/secrets/<file>``.

    Parameters
    ----------
    secret:
        Which secret.
    file:
        The file's name.
    part:
        ``value``, or for a CA or certificate ``certificate`` or ``key``.
    """

    secret: Secret
    file: str
    part: str = "value"


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of the facility, or a path of the machine, seen inside a container.

    Parameters
    ----------
    source:
        A volume's short name (``spool``), or an absolute path of the machine.
    target:
        Absolute path inside the container.
    read_only:
        Whether the container may only read it.
    propagation:
        ``private``, ``rslave`` or ``rshared`` (paths of the machine only).
    """

    source: str
    target: str
    read_only: bool = False
    propagation: str = "private"


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the machine offers to the outside, with the same number inside the container."""

    number: int
    url: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A command inside the container whose exit code 0 means that the service can be used.

    Parameters
    ----------
    command:
        Argument vector.
    timeout:
        Seconds until the service is called failed.
    """

    command: tuple[str, ...]
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the facility on one machine.

    Parameters
    ----------
    name:
        Short name, unique in the facility; its host name is ``<name>.<domain>``.
    service:
        The node that it belongs to.
    image:
        Name of an image of ``artifacts.yaml``.
    settings:
        The named variables of the service's configuration templates; handed over as JSON in ``CANTIERE_SETTINGS``.
    role:
        Which daemon of the image to run; handed over as ``CANTIERE_ROLE``.
    secrets, mounts, ports:
        What it sees, and what the machine offers of it.
    capabilities, devices:
        Linux capabilities beyond the engine's default, and device nodes.
    memory:
        Limit in bytes, or None.
    cpus:
        Limit in cores, or None.
    needs:
        Names of containers whose probes must pass before this one is started.
    probe:
        When it counts as ready.
    stop_grace:
        Seconds between SIGTERM and SIGKILL.
    """

    name: str
    service: str
    image: str
    settings: Mapping[str, Any]
    role: str = ""
    secrets: tuple[SecretFile, ...] = ()
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    capabilities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    memory: int | None = None
    cpus: float | None = None
    needs: tuple[str, ...] = ()
    probe: Probe | None = None
    stop_grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Project:
    """A facility bound to one machine: what the container engine has to hold.

    Parameters
    ----------
    name:
        Prefix of every object's name in the engine.
    domain:
        DNS domain of the containers.
    subnet:
        The private network, in CIDR notation.
    bind_address:
        Address of the machine on which ports are offered.
    volumes:
        Short names of the volumes.
    containers:
        All containers, each after those it needs.
    addresses:
        Container name to its fixed address in the subnet.
    """

    name: str
    domain: str
    subnet: str
    bind_address: str
    volumes: tuple[str, ...]
    containers: tuple[Container, ...]
    addresses: Mapping[str, str]

    def container(self, name: str) -> Container:
        """The container of that name.

        Raises
        ------
        KeyError
            There is none.
        """
        for container in self.containers:
            if container.name == name:
                return container
        raise KeyError(name)
