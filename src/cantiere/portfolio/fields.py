"""The fields of a template's form, all of them from its inputs: what the dashboard shows and the terminal asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.declared import Declared, Input, clauses, mapping, plain, text
from cantiere.tosca.elements import Map
from cantiere.tosca.schema import Schema

GENERAL = "General"
SECRET = re.compile(r"password|passphrase|secret|token")
SHORT = {"cpu": "CPU", "cpus": "CPUs", "gpu": "GPU", "gpus": "GPUs"} | {
    word: word.upper() for word in ("cvmfs", "dns", "iam", "id", "keda", "nfs", "ssh", "s3", "url", "voms")
}
PORTS = ("tosca.datatypes.network.PortSpec", "tosca.datatypes.indigo.network.PortSpec")
WORDS = frozenset(
    (
        "string",
        "integer",
        "float",
        "boolean",
        "version",
        "timestamp",
        "scalar-unit.time",
        "scalar-unit.frequency",
        "scalar-unit.bitrate",
        "scalar",
    )
)
SIZE = re.compile(r"[0-9]+(\.[0-9]+)? [A-Za-z]+")
"""A size as the dashboard reads it: the number, one space, the unit."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form.

    Parameters
    ----------
    name, label, tab, description:
        The input, and how a person sees it.
    schema:
        What its value has to be.
    default:
        The value that it has otherwise, as it is written; None where there is none.
    choices:
        The values that it may have; empty where there are others.
    constraints:
        Clauses as they are written.
    required:
        Whether somebody has to give a value.
    secret:
        Whether the value may not be shown.
    """

    name: str
    label: str
    tab: str
    description: str
    schema: Schema
    default: Any
    choices: tuple[Any, ...]
    constraints: tuple[Mapping[str, Any], ...]
    required: bool
    secret: bool


def fields(template: Declared) -> tuple[Field, ...]:
    """The fields of a template, in the order of its inputs."""
    return tuple(_field(template, found) for found in template.inputs.values())


def tabs(found: tuple[Field, ...]) -> tuple[str, ...]:
    """The tabs that fields are on: the general one first, the others in the order of their first fields."""
    names = dict.fromkeys(field.tab for field in found)
    return tuple(sorted(names, key=lambda name: name != GENERAL))


def _field(template: Declared, found: Input) -> Field:
    metadata = found.metadata
    rules = tuple(_clauses(found))
    choices = next((tuple(clause["valid_values"]) for clause in rules if isinstance(clause.get("valid_values"), list)), ())
    return Field(
        name=found.name,
        label=str(metadata.get("display_name") or label(found.name)),
        tab=str(metadata.get("tab") or _tab(template, found)),
        description=found.description,
        schema=found.schema,
        default=plain(found.schema.default),
        choices=choices,
        constraints=rules,
        required=found.schema.required and found.schema.default is None and "value" not in found.body.entries,
        secret=is_secret(found),
    )


def is_secret(found: Input) -> bool:
    """Whether an input holds a secret: it says so (``metadata: {secret: true}``), or is called so."""
    said = found.metadata.get("secret")
    return found.schema.base == "string" and (said is True or said == "true" or (said is None and SECRET.search(found.name) is not None))


def label(name: str) -> str:
    """What a person reads in place of an input's name."""
    words = [SHORT.get(word, word) for word in re.split(r"[_\-\s]+", name) if word]
    return " ".join(words)[:1].upper() + " ".join(words)[1:]


def _tab(template: Declared, found: Input) -> str:
    """The tab that the types of all nodes which use an input agree on."""
    named = {_named(template, user) for user in found.users}
    return named.pop() if len(named) == 1 else GENERAL


def _named(template: Declared, node: str) -> str:
    type_ = template.type_of(node)
    said = (text(mapping(owner.body.get("metadata")).get("tab")) for owner in type_.chain()) if type_ else ()
    return next((tab for tab in said if tab), GENERAL)


def _clauses(found: Input) -> list[dict[str, Any]]:
    """The constraints of an input, each a mapping of one operator; some templates write all of them in one mapping."""
    written = found.body.get("constraints")
    pairs = [(name, plain(value)) for name, value in written.entries.items()] if isinstance(written, Map) else []
    return [{name: value} for name, value in (*clauses(found.schema), *pairs)]
