"""cantiere: from one TOSCA template to a running scientific analysis facility."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from cantiere.model import Facility

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str | PathLike[str], inputs: Mapping[str, Any] | None = None) -> Facility:
    """Read, check and compile a template.

    Parameters
    ----------
    path:
        The template.
    inputs:
        Input name to value.

    Returns
    -------
    Facility
        What the template declares: typed, checked, independent of where it goes.

    Raises
    ------
    cantiere.errors.TemplateError
        The template or an input is invalid; its ``problems`` hold everything that was found.
    """
    from pathlib import Path

    from cantiere.tosca.compile import load as compiled

    return compiled(Path(path), inputs).facility
