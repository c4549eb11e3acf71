"""Machines as the facility asks for them and as a provider shows them. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTROL_PLANE = "control-plane"
POOL_LABEL = "cantiere.io/pool"
PREEMPTIBLE = "cantiere.io/preemptible"
"""Key of the label and of the taint of nodes whose machines may vanish at any time."""
PREEMPTIBLE_TAINT = f"{PREEMPTIBLE}=true:NoSchedule"
WORKER = "worker"
POOL = "cantiere.nodes.MachinePool"
"""Type of the nodes that are pools of machines."""
MONTH_HOURS = 730
"""Hours of a month, for prices."""
WORLD = "0.0.0.0/0"
"""Everybody."""


def pool_of(machine: str) -> str:
    """The pool of a machine, by its name."""
    return machine.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Opening:
    """Ports of machines that a node of the template opens to the outside.

    Parameters
    ----------
    node:
        Who asks for it.
    first, last:
        The ports.
    protocol:
        ``tcp`` or ``udp``.
    source:
        Network that reaches them, in CIDR notation.
    pool:
        Whose machines; ``""`` is all of them.
    """

    node: str
    first: int
    last: int
    protocol: str = "tcp"
    source: str = WORLD
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the facility.

    Parameters
    ----------
    name:
        Host name and Kubernetes node name: the pool's name and a number.
    pool:
        The node template (a ``cantiere.nodes.MachinePool``) that asks for it.
    roles:
        What it does: ``control-plane``, ``worker``, ``storage``, ``gpu``, or the name of a role for bare machines.
    address:
        IPv4 address.
    user, port, key:
        Log-in by SSH: user, port, and the path of the private key ("" leaves it to the SSH agent and defaults).
    labels, taints:
        Of its Kubernetes node, see also :attr:`node_labels`; a taint is written ``key=value:Effect``.
    needs:
        What it must have at least: ``num_cpus``, ``mem_size`` (bytes), ``disk_size`` (bytes), ``num_gpus``.
    host_key:
        Its public SSH host key where the provider knows it (``ssh-ed25519 AAAA…``), or ``""``.
    door:
        Address by which it is reached from outside of its network, or ``""`` where that is its address.
    jump:
        The machine through which SSH goes to it, or ``""``.
    preemptible:
        Whether it may vanish at any time.
    public:
        Its ports that its pool opens to the outside.
    """

    name: str
    pool: str
    roles: tuple[str, ...]
    address: str
    user: str = "root"
    port: int = 22
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    needs: Mapping[str, int] = field(default_factory=dict)
    host_key: str = ""
    door: str = ""
    jump: str = ""
    preemptible: bool = False
    public: tuple[Opening, ...] = ()

    @property
    def controls(self) -> bool:
        """Whether it carries the control plane."""
        return CONTROL_PLANE in self.roles

    @property
    def node_labels(self) -> Mapping[str, str]:
        """Labels of its Kubernetes node: its own, and its pool's name where it has one."""
        return {**({POOL_LABEL: self.pool} if self.pool else {}), **self.labels}


@dataclass(frozen=True, slots=True)
class MachineSeen:
    """What a provider says of one machine of the facility.

    Parameters
    ----------
    name:
        The machine.
    state:
        ``running``, ``stopped``, ``changing`` (a change in place was cut off), or ``broken`` (half-made or half-removed).
    address:
        Its address, or ``""``.
    digest:
        Of the specification it was made from, or ``""`` where the provider makes nothing.
    host_key:
        Its public SSH host key where the provider knows it, or ``""``.
    detail:
        What else the provider tells, for ``status``.
    """

    name: str
    state: str
    address: str = ""
    digest: str = ""
    host_key: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """How a machine that is there differs from the one that is asked for.

    Parameters
    ----------
    reasons:
        What the provider changes while the machine lives, in words.
    restarts:
        Whether it goes down meanwhile.
    anew:
        What only a machine made anew would have, in words; it goes on as it is until then.
    """

    reasons: tuple[str, ...] = ()
    restarts: bool = False
    anew: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a facility's machines cost for a month of :data:`MONTH_HOURS` hours.

    Parameters
    ----------
    currency:
        Of the sums.
    month:
        After the plan.
    now:
        Before it.
    unpriced:
        What is in none of the sums, because the list has no price for it.
    """

    currency: str
    month: float
    now: float
    unpriced: tuple[str, ...] = ()

    def __str__(self) -> str:
        difference = self.month - self.now
        change = f"{abs(difference):.2f} {'more' if difference > 0 else 'less'} than now" if abs(difference) >= 0.005 else "as now"
        without = f"; without a price: {'; '.join(self.unpriced)}" if self.unpriced else ""
        return f"cost: {self.month:.2f} {self.currency} a month of {MONTH_HOURS} hours, {change}{without}"
