"""Services of a site's own folder: Python files beside its inventory source that make releases from types of the site's own.

A site lists them, file by file, in its ``cantiere.yml`` (``services: [services/mine.py]``); nothing is loaded that is not listed. Such
a file is a program and runs with the rights of whoever runs cantiere, as the site's playbooks do.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from cantiere.errors import CantiereError, Location, Problem, TemplateError
from cantiere.values.catalogue import COMPILERS, Compiler

FOLDER = "services"
NAME = re.compile(r"[a-z][a-z0-9_]*\.py")
OURS = "cantiere."
"""Types that begin like this are the profile's own."""


def load(site: Path, names: Iterable[str]) -> dict[str, Compiler]:
    """The compilers of a site's own types.

    Parameters
    ----------
    site:
        The site's folder.
    names:
        Files as the site's inventory source lists them, from that folder: ``services/mine.py``.

    Returns
    -------
    dict
        Node type to its compiler.

    Raises
    ------
    TemplateError
        A file cannot be used, or two bring the same type; every problem that was found.
    """
    problems: list[Problem] = []
    found: dict[str, Compiler] = {}
    origin: dict[str, str] = {}
    for name in names:
        try:
            offered = _compilers(_module(_file(site, name), site.name))
        except CantiereError as error:
            problems.extend(error.problems)
            continue
        for kind, compiler in offered.items():
            if kind in origin:
                message = f"{name} and {origin[kind]} both make {kind} into releases"
                problems.append(Problem("site.service.twice", message, "keep one of them", Location(str(site / name)), kind))
            origin[kind], found[kind] = name, compiler
    if problems:
        raise TemplateError(problems)
    return found


def _file(site: Path, name: str) -> Path:
    """The file of that name, where only the site's owner can have written it."""
    path = site / name

    def refused(message: str, remedy: str) -> TemplateError:
        return TemplateError(Problem("site.service.file", message, remedy, Location(str(path)), name))

    parts = Path(name).parts
    if len(parts) != 2 or parts[0] != FOLDER or not NAME.fullmatch(parts[1]):
        raise refused(f"{name!r} is not a file of the site's folder {FOLDER}", f"write {FOLDER}/<name>.py in lower case")
    try:
        status = path.lstat()
        above = path.parent.lstat()
    except OSError as error:
        raise refused(f"{name} cannot be read: {error.strerror}", "create it, or take it off the site's list") from error
    if not stat.S_ISREG(status.st_mode) or not stat.S_ISDIR(above.st_mode):
        raise refused(f"{name} is not a plain file in a plain folder", "put the file itself there, not a link")
    for what, found in ((name, status), (FOLDER, above)):
        if found.st_mode & stat.S_IWOTH:
            raise refused(f"everybody on this machine can write {what}", f"chmod o-w {site / what}")
        if found.st_uid not in (0, os.getuid(), site.stat().st_uid):
            raise refused(f"{what} belongs to somebody else than its site", f"chown it to the owner of {site}")
    return path


def _module(path: Path, site: str) -> ModuleType:
    """The file as a module of a name of its own; it is run anew each time."""
    title = f"cantiere_site_{re.sub(r'[^a-z0-9_]', '_', site.lower())}_{path.stem}"
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.modules[title] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(title, None)
        line = _line(error, path)
        message = f"{path.name} fails as it is loaded: {type(error).__name__}: {error}"
        raise TemplateError(
            Problem("site.service.load", message, "correct the file", Location(str(path), line, 1 if line else 0))
        ) from error
    finally:
        sys.dont_write_bytecode = before
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that an error came through; 0 where it came from elsewhere."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 0
    found, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def _compilers(module: ModuleType) -> Mapping[str, Compiler]:
    """What a module offers: a mapping ``COMPILERS`` like the catalogue's."""
    where = Location(str(module.__file__))
    offered: Any = getattr(module, "COMPILERS", None)
    if not isinstance(offered, Mapping) or not offered:
        remedy = 'write COMPILERS = {"example.nodes.Mine": Compiler(releases, check)}'
        raise TemplateError(Problem("site.service.empty", "the file offers no COMPILERS", remedy, where))
    problems = []
    for kind, compiler in offered.items():
        if not isinstance(kind, str) or kind.startswith(OURS) or kind in COMPILERS:
            remedy = "give the type a name of the site's own, and derive it from cantiere.nodes.ClusterService"
            problems.append(Problem("site.service.type", f"{kind!r} is not a type of the site's own", remedy, where, str(kind)))
        elif not isinstance(compiler, Compiler):
            problems.append(Problem("site.service.compiler", f"{kind} has no Compiler", "write Compiler(releases, check)", where, kind))
    if problems:
        raise TemplateError(problems)
    return offered
