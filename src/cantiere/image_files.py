"""The files of an image, rendered for a machine without containers: the same templates and the same rendering as in the image.

``images/base/render`` does it inside a container; ``tests/unit/services/test_htcondor_machine.py`` holds both equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

REPOSITORY = Path(__file__).resolve().parents[2]


def rendered(folder: Path, settings: Mapping[str, Any], role: str) -> dict[str, str]:
    """Every ``*.j2`` below a folder, as text; those that come out blank have nothing to say and are left out.

    Parameters
    ----------
    folder:
        It mirrors the machine's root.
    settings:
        Variables of the templates.
    role:
        The templates' variable ``role``.

    Returns
    -------
    dict of str to str
        Absolute path on the machine to text.
    """
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    texts = {
        f"/{name.removesuffix('.j2')}": environment.get_template(name).render(**settings, role=role)
        for name in environment.list_templates(extensions=["j2"])
    }
    return {path: text for path, text in texts.items() if text.strip()}


def templates(image: str) -> Path:
    """Folder of an image's templates."""
    return REPOSITORY / "images" / image / "templates"


def programs(image: str, *names: str) -> dict[str, str]:
    """Text of programs that an image carries, by their path in the image's folder."""
    return {name: (REPOSITORY / "images" / image / name).read_text(encoding="utf-8") for name in names}
