"""Public templates and types (``../shared/data/tosca``): each is valid, or has errors that are worth reading, in bounded time."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import pytest
from toscaparser.tosca_template import ToscaTemplate

from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
from support.tree import REPOSITORY

DATA = REPOSITORY.parent / "shared" / "data" / "tosca"
FILES = sorted(path for path in DATA.rglob("*.y*ml"))
TYPES = [path for path in FILES if path.parent.name == "types"]
NEEDED = pytest.mark.skipif(not FILES, reason=f"the public templates are not in {DATA}")


@NEEDED
@pytest.mark.parametrize("path", FILES or [DATA], ids=lambda path: path.stem)
def test_valid_or_worth_reading(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    begin = time.process_time()
    try:
        load(path)
    except TemplateError as error:
        for problem in error.problems:
            assert problem.message.endswith(".") and problem.remedy.endswith((".", "?")), problem
            assert problem.where and problem.where.file == str(path) and 1 <= problem.where.line <= len(lines), problem
            assert problem.excerpt.split("\n")[1].endswith("^"), problem
    assert time.process_time() - begin < 5


@NEEDED
@pytest.mark.parametrize("path", TYPES or [DATA], ids=lambda path: path.stem)
def test_types_are_valid(path: Path) -> None:
    assert load(path).facility.nodes == ()


@NEEDED
@pytest.mark.parametrize("path", FILES or [DATA], ids=lambda path: path.stem)
def test_what_tosca_parser_accepts(path: Path) -> None:
    """Whatever it accepts is accepted here too, but for inputs: it does not ask for their values."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            ToscaTemplate(str(path), {})
        except Exception:
            return  # it refuses, or dies: nothing to agree on
    try:
        load(path)
    except TemplateError as error:
        assert {problem.code for problem in error.problems} == {"input.missing"}
