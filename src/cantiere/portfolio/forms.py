"""What is wrong with the inputs of a form, as the dashboard draws and reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.errors import Problem
from cantiere.portfolio.fields import PORTS, SIZE
from cantiere.portfolio.pages import Page, Path_
from cantiere.tosca.problems import Problems, quote
from cantiere.tosca.registry import PRIMITIVES

CHOICES = ("select", "radio", "toggle")
FORM_TYPES = frozenset(
    (
        *("text", "textarea", "integer", "float", "boolean", "list", "map", "scalar-unit.size", "hidden", "hostname", "email", "password"),
        *("random_password", "select", "dependent_select", "multiselect", "radio", "toggle", "ssh_pub_key_type", "combined"),
        *("dependent_definition", "openstack_ec2credentials", "uuidgen", "ldap_user", "ssh_user", "userinfo"),
    )
)
"""What the dashboard has a field for; other types of TOSCA are shown as a line of text."""
NEEDS = {"multiselect": "options", "userinfo": "attribute"}
FLAVOR = re.compile(r"(?=.*flavor)(?!.*partition)")
SETS = ("num_cpus", "mem_size")
HOST = "tosca.datatypes"


@dataclass(frozen=True, slots=True)
class Form:
    """A template's inputs with what its parameters file says of them.

    Parameters
    ----------
    template, parameters:
        The files; a template may have no parameters.
    """

    template: Page
    parameters: Page | None

    @property
    def declared(self) -> Mapping[str, Any]:
        """The inputs of the template."""
        found: Mapping[str, Any] = self.template.get("topology_template", "inputs")
        return found

    @property
    def added(self) -> Mapping[str, Any]:
        """The inputs of the parameters file."""
        return self.parameters.get("inputs") if self.parameters else {}

    @property
    def tabs(self) -> list[Any]:
        """The form's tabs."""
        found = self.parameters.value.get("tabs") if self.parameters and isinstance(self.parameters.value, dict) else None
        return found if isinstance(found, list) and found else ["Configuration"]

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """The inputs as the dashboard merges them."""
        names = dict.fromkeys((*self.declared, *self.added))
        return {name: _keywords(self.declared.get(name)) | _keywords(self.added.get(name)) for name in names}

    def at(self, name: str, *keys: str) -> tuple[Page, Path_]:
        """The file that says something of an input, and where."""
        if self.parameters is not None and name in self.added and (not keys or keys[0] in _keywords(self.added[name])):
            return self.parameters, ("inputs", name, *keys)
        return self.template, ("topology_template", "inputs", name, *keys)

    def problem(self, name: str, code: str, message: str, remedy: str, *keys: str) -> Problem:
        """A problem with an input."""
        page, path = self.at(name, *keys)
        return page.problem(code, f"The input {quote(name)} {message}", remedy, path)


def _keywords(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}


def errors(form: Form) -> Iterator[Problem]:
    """What the dashboard cannot draw or read."""
    for name, body in form.inputs.items():
        if "type" not in body:
            yield form.problem(name, "type", "has no type; the dashboard stops at it.", "Add 'type: string' or another type.")
            continue
        yield from _type(form, name, body)
        yield from _size(form, name, body)
        if FLAVOR.match(name):
            yield from _flavors(form, name, body)
        elif body["type"] in CHOICES:
            yield from _choices(form, name, body)


def warnings(form: Form) -> Iterator[Problem]:
    """What the dashboard does without complaint, though hardly anybody means it."""
    for name, body in form.inputs.items():
        tab = body.get("tab")
        if tab and tab not in form.tabs:
            remedy = Problems().suggest(str(tab), map(str, form.tabs), "Add it to 'tabs', or name one of them.")
            yield form.problem(name, "tab", f"is on the tab {quote(str(tab))}, which there is not: nobody sees it.", remedy, "tab")
        if name in form.added and name not in form.declared and (near := Problems().suggest(name, form.declared, "")):
            yield form.problem(name, "input", "is not one of the template's.", near)
        if tab != "" and str(body.get("type")).startswith(HOST):
            yield form.problem(name, "type", f"of type {body['type']} is shown as a line of text.", "Give it a type of the form.", "type")


def _type(form: Form, name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    kind = str(body["type"])
    said = name in form.added and "type" in _keywords(form.added[name])
    if kind not in FORM_TYPES | PRIMITIVES and (said or "." not in kind):
        if not (said and body.get("tab") == ""):
            remedy = Problems().suggest(kind, sorted(FORM_TYPES | PRIMITIVES), f"Use one of: {', '.join(sorted(FORM_TYPES))}.")
            yield form.problem(name, "form_type", f"has the unknown form type {quote(kind)}.", remedy, "type")
    elif kind in ("list", "map"):
        entry = body.get("entry_schema")
        inner = _keywords(entry).get("type")
        if inner is None:
            message = f"is a {kind} without the type of its entries; the dashboard stops at it."
            yield form.problem(name, "entry_schema", message, "Add 'entry_schema: {type: string}'.", "entry_schema")
        elif kind == "list" and inner == "map" and "type" not in _keywords(_keywords(entry).get("entry_schema")):
            message = "is a list of maps without the type of their entries; what a user fills in is lost."
            yield form.problem(
                name, "entry_schema", message, "Write 'entry_schema: {type: map, entry_schema: {type: string}}'.", "entry_schema"
            )
        elif kind == "map" and inner != "string" and inner not in PORTS and body.get("tab") != "":
            message = f"is a map of {inner}, for which there is no field: what a user writes is sent as a text."
            yield form.problem(
                name, "entry_schema", message, "Keep it off the form with 'tab: \"\"', or make it a map of string.", "entry_schema"
            )
    elif kind in NEEDS and NEEDS[kind] not in body:
        yield form.problem(name, "form_type", f"of type {kind} needs {quote(NEEDS[kind])}.", f"Add '{NEEDS[kind]}:'.", "type")


def _size(form: Form, name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    if body["type"] != "scalar-unit.size" or body.get("tab") == "":
        return
    default = body.get("default")
    if not SIZE.fullmatch(str(default)):
        message = f"is a size whose default is {'missing' if default is None else quote(str(default))}; the page of the form is not drawn."
        yield form.problem(name, "size", message, "Write the default as a number, one space and a unit: 4 GB.", "default")
        return
    constraints = body.get("constraints")
    bounds = constraints.get("in_range") if isinstance(constraints, dict) else None
    if bounds is None:
        return
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(SIZE.fullmatch(str(bound)) for bound in bounds):
        message = "has a range that the form cannot read."
        yield form.problem(name, "size", message, "Write 'in_range: [1 GB, 100 GB]'.", "constraints", "in_range")
    elif {str(bound).split()[1] for bound in bounds} != {str(default).split()[1]}:
        message = "has a range in another unit than its default; the form compares the numbers alone."
        yield form.problem(name, "size", message, f"Write both bounds in {str(default).split()[1]}.", "constraints", "in_range")


def _choices(form: Form, name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    found = body.get("constraints")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) and {"value", "label"} <= one.keys() for one in found):
        message = f"of type {body['type']} has choices without value and label: the user has nothing to choose."
        at = "constraints" if found is not None else "type"
        yield form.problem(name, "choices", message, "Write 'constraints: [{value: small, label: Small}]'.", at)


def _flavors(form: Form, name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    remedy = "Write each as {value: small, label: 2 cores, set: {num_cpus: 2, mem_size: 4 GB}}, with names of inputs below 'set'."
    found = body.get("constraints")
    if not isinstance(found, list) or not found:
        yield form.problem(name, "flavor", "is a flavor without constraints; the provider's flavors have nothing to set.", remedy)
        return
    for number, one in enumerate(found):
        lacking = [key for key in ("value", "label", "set") if key not in _keywords(one)]
        if lacking:
            message = f"is a flavor whose entry {number} lacks {', '.join(lacking)}; the dashboard stops at it."
            yield form.problem(name, "flavor", message, remedy, "constraints")
            return
        sets = _keywords(one["set"])
        absent = [part for part in SETS if not any(part in key for key in sets)]
        unknown = [key for key in sets if key not in form.inputs]
        if absent or unknown:
            what = f"sets no {' and no '.join(absent)}" if absent else f"sets {', '.join(map(quote, unknown))}, which is no input"
            yield form.problem(name, "flavor", f"is a flavor whose entry {number} {what}.", remedy, "constraints")
            return
