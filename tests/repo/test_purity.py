"""The core decides and does no I/O: what it may import and call is listed here, everything else is refused."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from support.tree import REPOSITORY, name

SOURCE = REPOSITORY / "src" / "cantiere"

MACHINES = tuple(
    f"machines/{name}"
    for name in ("model", "roster", "wanted", "roles", "seen", "plan", "matching", "preflight", "hostkey", "registry", "growth", "openings")
)
PURE = (
    "machines/changing",
    "model",
    "errors",
    "graph",
    "layout",
    "overlay",
    "bind",
    "compose",
    "engine_labels",
    "tosca/*",
    "services/*",
    "kubernetes/*",
    "plan/definition",
    "plan/build",
    "workflows/model",
    "workflows/plan",
    "indigo/*",
    "values/*",
    "values/checks/*",
    *MACHINES,
)
"""Modules of the core. They may import each other, and of the rest only what stands below."""

OUTER = frozenset({"values/site_services"})
"""Modules that match, and are no part of it: this one loads compilers from a site's folder."""

LIBRARY = frozenset(
    "__future__ abc base64 bisect collections contextlib copy dataclasses datetime decimal difflib enum fnmatch fractions functools "
    "gc graphlib hashlib heapq html io ipaddress itertools json math operator posixpath re shlex string textwrap types typing unicodedata "
    "urllib.parse uuid zlib".split()
)
"""Modules of the standard library that touch nothing outside the process."""

OUTSIDE = frozenset({"jsonschema", "referencing", "toscaparser", "yaml"})

READER = "tosca/sources"
"""The one module of the front end that reads files: the template, its imports, the inputs and the types."""

EXTRA = {READER: {"pathlib", "importlib.util"}, "tosca/csar": {"pathlib", "zipfile"}, "tosca/compile": {"pathlib"}}
"""What single modules may import beside: the reader finds files, and ``load`` hands it paths."""

READING = frozenset({"read_text", "read_bytes", "is_file", "is_dir", "resolve", "stat", "glob"})
TOUCHING = frozenset(
    "read_text read_bytes write_text write_bytes open exists is_file is_dir iterdir glob rglob stat lstat mkdir rmdir unlink "
    "touch rename chmod symlink_to hardlink_to resolve expanduser home cwd".split()
)
BUILTINS = frozenset({"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"})


def modules() -> dict[str, Path]:
    """The core's modules by their name under ``src/cantiere``."""
    found = {path for pattern in PURE for path in SOURCE.glob(f"{pattern}.py") if path.exists()}
    named = {path.relative_to(SOURCE).with_suffix("").as_posix(): path for path in sorted(found)}
    return {name: path for name, path in named.items() if name not in OUTER}


CORE = modules()


def imported(tree: ast.Module) -> list[tuple[int, str]]:
    """Every import of a module, wherever it stands: line and dotted name (``from a import b`` as ``a.b``)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def refusal(module: str, dotted: str) -> str:
    """Why a module of the core may not import that name, or an empty string."""
    parts = dotted.split(".")
    if parts[0] == "cantiere":
        candidates = {"/".join(parts[1:end]) for end in range(2, len(parts) + 1)}
        packages = {"/".join(parts[1:end]) + "/__init__" for end in range(2, len(parts) + 1)}
        return "" if (candidates | packages) & CORE.keys() or dotted == "cantiere" else f"{dotted} is not part of the core"
    if dotted == "pathlib.PurePosixPath" or any(dotted == extra or dotted.startswith(f"{extra}.") for extra in EXTRA.get(module, ())):
        return ""
    if parts[0] in OUTSIDE | LIBRARY or ".".join(parts[:2]) in LIBRARY:
        return ""
    kind = "standard library" if parts[0] in sys.stdlib_module_names else "outside"
    return f"{dotted} ({kind}) is not on the list of what the core may import"


@pytest.mark.parametrize("module", CORE)
def test_imports(module: str) -> None:
    """The core imports only the core and what touches nothing."""
    tree = ast.parse(CORE[module].read_text(encoding="utf-8"))
    found = [f"{name(CORE[module])}:{line}: {why}" for line, dotted in imported(tree) if (why := refusal(module, dotted))]
    assert not found, "I/O belongs in apply, engine, state or runner, outside the core:\n" + "\n".join(found)


@pytest.mark.parametrize("module", CORE)
def test_calls(module: str) -> None:
    """The core calls nothing that reads or writes; the front end's reader only reads."""
    allowed = READING if module == READER else frozenset()
    found = []
    for node in ast.walk(ast.parse(CORE[module].read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
            found.append(f"{name(CORE[module])}:{node.lineno}: {node.func.id}()")
        if isinstance(node.func, ast.Name) and node.func.id == "import_module" and ast.unparse(node.args[0]) != "'re._parser'":
            found.append(f"{name(CORE[module])}:{node.lineno}: an import that cannot be read off the text")
        if isinstance(node.func, ast.Attribute) and node.func.attr in TOUCHING - allowed:
            found.append(f"{name(CORE[module])}:{node.lineno}: .{node.func.attr}()")
    assert not found, "the core reads and writes nothing; hand it the content instead:\n" + "\n".join(found)


def test_core_is_complete() -> None:
    """Every pattern of the list names a module that exists, so that none is checked in name only."""
    missing = [pattern for pattern in PURE if not list(SOURCE.glob(f"{pattern}.py"))]
    assert not missing, f"no module for {missing}: put the list right"
