"""The fuzz target of the front end, a program for atheris: whatever the bytes are, there is a facility or errors that are worth reading.

Run ``python tests/support/fuzzing.py CORPUS -max_total_time=60`` from the checkout.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "src"))

with atheris.instrument_imports(include=["cantiere.tosca"]):
    from cantiere.tosca.compile import load

from cantiere.errors import TemplateError  # noqa: E402

FOLDER = Path(tempfile.mkdtemp(prefix="cantiere-fuzz-"))


def one(data: bytes) -> None:
    """Load bytes as a template."""
    path = FOLDER / "t.yaml"
    path.write_bytes(data)
    try:
        load(path)
    except TemplateError as error:
        assert error.problems, "it is refused, and nothing is said"
        for problem in error.problems:
            assert problem.message and problem.remedy and problem.code, problem
            assert (
                problem.where is None or problem.where.line <= data.count(b"\n") + data.count(b"\r") + 3 or problem.where.file != str(path)
            )


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
