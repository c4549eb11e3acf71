"""How objects in a cloud are known as ours: each carries the site's prefix, the facility's lineage and the machine's name.

Servers carry it in their metadata, everything else in its description, because both are written in the very call that makes the object: no
kill leaves an object that is not marked. Server groups and key pairs have no description and carry prefix and lineage in their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEY = "cantiere"
DIGEST, SIZE, HOST_KEY = "cantiere_digest", "cantiere_size", "cantiere_host_key"


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose an object is.

    Parameters
    ----------
    prefix:
        The site's.
    lineage:
        The facility's.
    node:
        The machine that it belongs to, or ``""`` where machines share it.
    """

    prefix: str
    lineage: str
    node: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (KEY, self.prefix, self.lineage, self.node)))


def read(text: str) -> Mark | None:
    """The mark in a text; None where it is none."""
    words = (text or "").split(" ")
    return Mark(*words[1:]) if len(words) in (3, 4) and words[0] == KEY else None


def of(item: Any) -> Mark | None:
    """The mark of an object, or None."""
    metadata = getattr(item, "metadata", None)
    if isinstance(metadata, dict) and KEY in metadata:
        return read(str(metadata[KEY]))
    return read(str(getattr(item, "description", "") or ""))
