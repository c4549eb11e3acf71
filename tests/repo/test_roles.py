"""Every role has the one shape, and its contract equals its defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.tree import REPOSITORY, files, load, name, roles

ROLES = {path.name: path for path in roles()}
NEEDED = {
    "defaults/main.yml",
    "meta/main.yml",
    "meta/argument_specs.yml",
    "tasks/main.yml",
    "tasks/assert.yml",
    "tasks/remove.yml",
    "README.md",
}
TASKS = {
    "main",
    "assert",
    "install",
    "configure",
    "provider",
    "service",
    "verify",
    "remove",
    "podman",
    "docker",
    "leave",
    "restart",
    "images",
    "init",
    "join",
    "join_machine",
    "nodes",
    "upgrade",
    "upgrade_machine",
    "rotate",
    "save",
    "restore",
    "spread",
}
ON_THE_CONTROLLER = {"compose", "machines", "releases"}
"""Roles that make a facility from the controller: scenarios of ``tests/system`` raise one."""
LISTS = ("import_tasks", "include_tasks", "include_role", "import_role")


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The options of the role's main entry point."""
    entries: dict[str, Any] = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    found: dict[str, dict[str, Any]] = entries["main"].get("options", {})
    return found


@pytest.mark.parametrize("role", ROLES)
def test_shape(role: str) -> None:
    """The standard files are there, and no tasks file has a name of its own making."""
    missing = sorted(item for item in NEEDED if not (ROLES[role] / item).is_file())
    assert not missing, f"roles/{role} lacks {missing}; a role has {sorted(NEEDED)} (README.md: python -m cantiere.docs)"
    strange = sorted(path.name for path in (ROLES[role] / "tasks").glob("*.yml") if path.stem not in TASKS)
    assert not strange, f"roles/{role}/tasks has {strange}; a tasks file is one of {sorted(TASKS)}"


@pytest.mark.parametrize("role", sorted(ROLES.keys() - ON_THE_CONTROLLER))
def test_scenario(role: str) -> None:
    """A role has a molecule scenario that converges it on machines."""
    scenario = REPOSITORY / "molecule" / role
    shared = load(REPOSITORY / ".config" / "molecule" / "config.yml")["scenario"]
    sequence = (shared | load(scenario / "molecule.yml").get("scenario", {}))["test_sequence"]
    assert {"check", "converge", "idempotence", "verify"} <= set(sequence), f"molecule/{role}/molecule.yml leaves steps out: {sequence}"
    assert list((scenario / "tests").glob("test_*.py")), f"molecule/{role}/tests has no test"


@pytest.mark.parametrize("role", ROLES)
def test_contract_equals_defaults(role: str) -> None:
    """What ``defaults/main.yml`` sets is what ``meta/argument_specs.yml`` says, key by key and value by value."""
    specified = options(ROLES[role])
    defaults = load(ROLES[role] / "defaults" / "main.yml") or {}
    optional = {key: option.get("default") for key, option in specified.items() if not option.get("required")}
    assert set(optional) == set(defaults), (
        f"roles/{role}: only in argument_specs {set(optional) - set(defaults)}, only in defaults {set(defaults) - set(optional)}"
    )
    differing = {key: (optional[key], defaults[key]) for key in defaults if optional[key] != defaults[key]}
    assert not differing, f"roles/{role}: (argument_specs, defaults) differ: {differing}"


@pytest.mark.parametrize("role", ROLES)
def test_names_and_descriptions(role: str) -> None:
    """Variables carry the role's name, and each says what it is."""
    specified = options(ROLES[role])
    stray = [key for key in specified if not key.startswith(f"{role}_")]
    assert not stray, f"roles/{role}: {stray} must begin with {role}_"
    silent = [key for key, option in specified.items() if not option.get("description") or not option.get("type")]
    assert not silent, f"roles/{role}: {silent} need a type and a description"


@pytest.mark.parametrize("role", ROLES)
def test_main_is_a_table_of_contents(role: str) -> None:
    """``tasks/main.yml`` only includes other tasks files."""
    for task in load(ROLES[role] / "tasks" / "main.yml"):
        used = [key for key in task if key.rpartition(".")[2] in LISTS]
        assert used, f"roles/{role}/tasks/main.yml: task {task.get('name')!r} does work; move it to a tasks file of its concern"


def strings(value: Any, key: str = "") -> list[tuple[str, str]]:
    """All strings in a YAML value, each with the key that it stands under."""
    if isinstance(value, dict):
        return [item for inner, content in value.items() for item in strings(content, str(inner))]
    if isinstance(value, list):
        return [item for content in value for item in strings(content, key)]
    return [(key, value)] if isinstance(value, str) else []


@pytest.mark.parametrize("path", [path for path in files() if path.match("playbooks/*.yml") or path.match("roles/*/tasks/*.yml")], ids=name)
def test_no_program_in_yaml(path: Path) -> None:
    """Values are made in Python: a task uses a variable or a filter, and writes no Jinja statements, literals or many-line expressions."""
    messages = {"msg", "fail_msg", "success_msg"}
    found = [
        text
        for key, text in strings(load(path))
        if "{%" in text or re.search(r"\{\{-?\s*[\[{]", text) or ("{{" in text and "\n" in text.strip() and key not in messages)
    ]
    assert not found, f"{name(path)}: make these in the package and hand them over by a module or filter:\n" + "\n".join(found)
