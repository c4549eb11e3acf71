"""Outputs that only the running facility can answer: what they ask for, and the answers that ours has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.values import call

ADDRESSES = {"private_address": "address", "ip_address": "address", "public_address": "public_address"}
CREDENTIAL = ("endpoint", "credential")
KUBECONFIG = "kube_conf"


@dataclass(frozen=True, slots=True)
class Asked:
    """An attribute of a node.

    Parameters
    ----------
    node:
        A node of the facility.
    attribute:
        ``address``, ``public_address``, ``credential`` or ``kubeconfig``.
    index:
        Which of its machines; None is all of them.
    """

    node: str
    attribute: str
    index: int | None = None


Late = str | Asked | tuple["Late", ...]
"""A text, an attribute, or several that are put together."""


@dataclass(frozen=True, slots=True)
class Known:
    """What ours knows of a running facility.

    Parameters
    ----------
    addresses:
        Node to the addresses of its machines.
    log_in:
        Machine's address to how one logs in there: ``user``, and ``key`` with the path of the private key.
    kubeconfig:
        Path of the cluster's kubeconfig, or ``""``.
    doors:
        Machine's address to the one by which it is reached from outside, where that is another.
    """

    addresses: Mapping[str, Sequence[str]]
    log_in: Mapping[str, Mapping[str, str]]
    kubeconfig: str = ""
    doors: Mapping[str, str] = field(default_factory=dict)

    def shown(self, address: str, attribute: str) -> Any:
        """What a machine has for an attribute, by its address."""
        if attribute == "credential":
            return dict(self.log_in[address])
        return self.doors.get(address, address) if attribute == "public_address" else address


def late(element: Element, became: Mapping[str, Sequence[str]], literal: Callable[[Element], Any]) -> Late | None:
    """What an output asks for; None where ours has no answer.

    Parameters
    ----------
    element:
        Its value as it is written.
    became:
        Node of theirs to those of ours, the machines last.
    literal:
        The value of what the template itself says.
    """
    name = call(element)
    if name is None or not isinstance(element, Map) or name not in ("concat", "get_attribute"):
        value = literal(element)
        return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, str | int | float) else None
    argument = element.entries[name]
    words = argument.items if isinstance(argument, Seq) else [argument]
    if name == "concat":
        parts = [late(word, became, literal) for word in words]
        return None if any(part is None for part in parts) else tuple(part for part in parts if part is not None)
    return _attribute([word for word in words if isinstance(word, Scalar)], became)


def _attribute(words: Sequence[Scalar], became: Mapping[str, Sequence[str]]) -> Asked | None:
    ours = became.get(words[0].text)
    if not ours:
        return None
    path = [word.text for word in words[1:]]
    index = words[-1].value if isinstance(words[-1].value, int) else None
    if path[0] in ADDRESSES:
        return Asked(ours[-1], ADDRESSES[path[0]], index)
    if tuple(path[:2]) == CREDENTIAL:
        return Asked(ours[-1], "credential", index)
    return Asked(ours[-1], "kubeconfig") if KUBECONFIG in path else None


def answer(asked: Late, known: Known) -> Any:
    """The answer; None where it is not known yet."""
    if isinstance(asked, str):
        return asked
    if isinstance(asked, tuple):
        parts = [answer(part, known) for part in asked]
        return None if any(part is None for part in parts) else "".join(map(str, parts))
    if asked.attribute == "kubeconfig":
        return known.kubeconfig or None
    found = [known.shown(address, asked.attribute) for address in known.addresses.get(asked.node, ())]
    if asked.index is None:
        return found or None
    return found[asked.index] if asked.index < len(found) else None
