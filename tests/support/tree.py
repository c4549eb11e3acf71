"""The files of the checkout, as the tests of the repository see them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@cache
def files() -> tuple[Path, ...]:
    """All files that are tracked, or that are new and not ignored."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = (REPOSITORY / name for name in sorted(set(listed)) if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


def texts() -> Iterator[tuple[str, str]]:
    """Every text file: its path in the checkout and its content."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield name(path), content.decode("utf-8")


def name(path: Path) -> str:
    """A path as it stands in the checkout."""
    return path.relative_to(REPOSITORY).as_posix()


def load(path: Path) -> Any:
    """The content of a YAML file; None where it is empty."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def roles() -> list[Path]:
    """The folders of the roles."""
    return sorted(path.parents[1] for path in files() if path.match("roles/*/tasks/main.yml"))
