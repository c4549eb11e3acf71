"""What ``cantiere types`` does: shows types, and the schema by which editors complete templates."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cantiere.errors import CantiereError, Problem


def types(options: argparse.Namespace) -> int:
    """Show a type, list all of them, or print the editors' schema."""
    from cantiere.profile.sheets import catalogue

    found = catalogue()
    if options.json_schema:
        from cantiere.profile.editor import schema

        if options.name:
            problem = Problem("types.schema", "the schema is of all types", "leave out the name", path=options.name)
            raise CantiereError(problem)
        print(json.dumps(schema(found), indent=1, ensure_ascii=False))
        return 0
    if options.name:
        sheet = found.sheet(found.find(options.name))
        print(json.dumps(sheet, indent=1, ensure_ascii=False) if options.json else told(sheet))
        return 0
    sheets = [found.sheet(type_) for type_ in found.own()]
    if options.json:
        print(json.dumps([{key: one[key] for key in ("name", "kind", "description", "file", "line")} for one in sheets], indent=1))
        return 0
    width = max(len(one["name"]) for one in sheets)
    for kind in dict.fromkeys(one["kind"] for one in sheets):
        print(f"{kind}s")
        for one in (entry for entry in sheets if entry["kind"] == kind):
            print(f"  {one['name'].ljust(width)}  {one['description']}".rstrip())
    return 0


def told(sheet: Mapping[str, Any]) -> str:
    """A sheet as text."""
    lines = [f"{sheet['name']} ({sheet['kind']}, {sheet['file']}:{sheet['line']})"]
    if sheet["description"]:
        lines += ["", sheet["description"]]
    if sheet["derived_from"]:
        lines += ["", f"derived from {' → '.join(sheet['derived_from'])}"]
    for key in ("properties", "attributes"):
        lines += _block(key, [line for one in sheet.get(key, ()) for line in _property(one)])
    lines += _block("requirements", [_requirement(one) for one in sheet.get("requirements", ())])
    lines += _block("offers", [f"{one['name']}: {one['type']}" for one in sheet.get("capabilities", ())])
    if "example" in sheet:
        lines += _block("example", sheet["example"].splitlines())
    return "\n".join(lines)


def _block(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _property(one: Mapping[str, Any]) -> list[str]:
    words = [one["type"]]
    if one["required"]:
        words.append("required")
    if "default" in one:
        words.append(f"default {json.dumps(one['default'], ensure_ascii=False)}")
    for clause in one.get("constraints", ()):
        words += [f"{name} {json.dumps(operand, ensure_ascii=False)}" for name, operand in clause.items()]
    described = [f"    {one['description']}"] if one["description"] else []
    return [f"{one['name']}: {', '.join(words)}", *described]


def _requirement(one: Mapping[str, Any]) -> str:
    most = "any number" if one["most"] is None else one["most"]
    times = f"{one['least']}" if one["least"] == one["most"] else f"{one['least']} to {most}"
    return f"{one['name']}: {one['node'] or one['capability']} ({times})"
