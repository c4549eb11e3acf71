"""Where the values of a site's file stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from cantiere.errors import Location


class Places:
    """Lines and columns of a site's file.

    Parameters
    ----------
    file:
        The file; None where the values come from elsewhere.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.root = yaml.compose(file.read_text(encoding="utf-8")) if file is not None else None

    def of(self, path: Sequence[str | int]) -> Location | None:
        """Where the deepest part of a path that is written stands."""
        if self.file is None:
            return None
        node, mark = self.root, None
        for step in path:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == step]
                if not found:
                    break
                mark, node = found[0][0].start_mark, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                mark = node.start_mark
            else:
                break
        return Location(str(self.file), mark.line + 1, mark.column + 1) if mark else Location(str(self.file))
