"""What the dashboard needs beside a template: its parameters, its metadata and its card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cantiere.declared import Declared
from cantiere.portfolio.fields import PORTS, SIZE, WORDS, Field, fields, tabs
from cantiere.tosca import scalars

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" fill="none" stroke="#2f6db3" stroke-width="4">'
    '<path d="M6 58h52M14 58V26h20v32M20 34h8M20 42h8M44 58V6M30 12h28M52 12v12"/></svg>'
)
ICON = "data:image/svg+xml," + quote(DRAWING)
"""The icon of templates that name none: it needs no server."""
EVERYBODY = ".*"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


@dataclass(frozen=True, slots=True)
class Artefacts:
    """What a template becomes in a portfolio, beside the template itself.

    Parameters
    ----------
    parameters, metadata, card:
        The documents as YAML knows them; the card is an entry of ``services`` in ``metadata.yml``.
    unshown:
        Fields that the dashboard cannot show; they keep their defaults.
    """

    parameters: Mapping[str, Any]
    metadata: Mapping[str, Any]
    card: Mapping[str, Any]
    unshown: tuple[Field, ...]


def artefacts(template: Declared, groups: Sequence[str] = ()) -> Artefacts:
    """The artefacts of a template.

    Parameters
    ----------
    template:
        Which.
    groups:
        Groups that see it; empty for all that the dashboard knows.
    """
    found = fields(template)
    hidden = tuple(field for field in found if form_type(field) is None)
    shown = tuple(field for field in found if field not in hidden)
    parameters = {
        "tabs": list(tabs(shown)),
        "inputs": {field.name: _parameter(field) for field in shown} | {field.name: _kept(field) for field in hidden},
    }
    said = template.metadata
    title = str(said.get("display_name") or template.name)
    icon = str(said.get("icon"))
    icon = icon if URL.fullmatch(icon) else ICON
    visibility = {"type": "private" if groups else "public", **({"groups": list(groups)} if groups else {"groups_regex": EVERYBODY})}
    metadata = {
        "template_name": template.name,
        "display_name": title,
        "description": template.description,
        "icon": icon,
        "visibility": visibility,
        "require_ssh_key": False,
    }
    card = {
        "description": template.description,
        "metadata": {
            "display_name": title,
            "bookmark_id": template.name,
            "guide_url": str(said.get("guide_url") or ""),
            "icon": icon,
            "visibility": visibility,
        },
        "templates": [{"name": template.name}],
    }
    return Artefacts(parameters, {"metadata": metadata}, card, hidden)


def form_type(field: Field) -> str | None:
    """The dashboard's type of a field; None where it has no field of that shape."""
    base, entry = field.schema.base, field.schema.entry
    if field.secret:
        return "password"
    if field.choices and base in WORDS | {"scalar-unit.size"}:
        return "select"
    if base == "scalar-unit.size":
        return base if SIZE.fullmatch(str(field.default)) else "string"
    if base in WORDS:
        return base if base in ("string", "integer", "float", "boolean") else "string"
    if base in ("list", "map") and entry is not None:
        of_maps = base == "list" and entry.base == "map" and entry.entry is not None and entry.entry.base == "string"
        return base if entry.base == "string" or entry.title in PORTS or of_maps else None
    return None


def _parameter(field: Field) -> dict[str, Any]:
    """A field as the parameters file says it."""
    kind = form_type(field)
    found: dict[str, Any] = {"display_name": field.label, "tab": field.tab, "type": kind}
    if kind in ("list", "map"):
        found["entry_schema"] = _entry(field)
    if field.description:
        found["description"] = field.description
    if field.default is not None and kind != "password":
        found["default"] = field.default
    found["required"] = field.required
    if kind == "select":
        found["constraints"] = [{"value": choice, "label": str(choice)} for choice in field.choices]
    elif field.constraints:
        found["constraints"] = _range(field) or [dict(clause) for clause in field.constraints]
    return found


def _kept(field: Field) -> dict[str, Any]:
    """A field that no tab shows: the template's own words about it stand."""
    entry = {"entry_schema": _entry(field)} if field.schema.base in ("list", "map") else {}
    return {"display_name": field.label, "tab": "", "type": field.schema.title, **entry}


def _entry(field: Field) -> dict[str, Any]:
    """The schema of a list's or map's entries; the dashboard looks for one in every such input."""
    entry = field.schema.entry
    if entry is None:
        return {"type": "string"}
    inner = {"entry_schema": {"type": entry.entry.title}} if entry.entry else {}
    return {"type": entry.title, **inner}


def _range(field: Field) -> dict[str, Any] | None:
    """A size's range in the unit of its default, as the dashboard's field reads it; None where there is none."""
    if field.schema.base != "scalar-unit.size":
        return None
    unit = str(field.default).partition(" ")[2]
    step = scalars.scalar(field.schema.base, f"1 {unit}") or 1
    for clause in field.constraints:
        bounds = [scalars.scalar(field.schema.base, str(bound)) for bound in clause.get("in_range", ())]
        if len(bounds) == 2 and all(bound is not None and bound % step == 0 for bound in bounds):
            return {"in_range": [f"{int(bound // step)} {unit}" for bound in bounds if bound is not None]}
    return None
