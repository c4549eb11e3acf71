"""Imports from URLs: only where they are allowed, each kept in a cache and pinned by its hash in a lock file beside the template."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from cantiere.errors import CantiereError, Problem
from cantiere.state import write_atomic
from cantiere.tosca.document import UNIT
from cantiere.tosca.sources import ALLOW

LOCK = "imports.lock"
TIMEOUT = 20.0
"""Seconds that a server may take to answer."""
READABLE = 0o644
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def fetcher(template: Path) -> Callable[[str], bytes] | None:
    """What gets imports for a template; None where no URL is allowed and none is locked.

    Parameters
    ----------
    template:
        The template; its lock is ``imports.lock`` in the same folder.
    """
    allowed = tuple(os.environ.get(ALLOW, "").split())
    lock = template.parent / LOCK
    if not allowed and not lock.is_file():
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Imports(lock, Path(base) / "cantiere" / "imports", allowed).get


class Imports:
    """Gets URLs.

    Parameters
    ----------
    lock:
        The file with the hash of every URL that was ever got.
    cache:
        The folder that holds their content, by its hash.
    allowed:
        Beginnings of URLs that may be got though they are not locked yet.
    """

    def __init__(self, lock: Path, cache: Path, allowed: tuple[str, ...]) -> None:
        self.lock, self.cache, self.allowed = lock, cache, allowed

    def get(self, url: str) -> bytes:
        """The content of a URL.

        Raises
        ------
        CantiereError
            It is not allowed, cannot be got, or is not what it was.
        """
        locked = self._locked().get(url)
        kept = self.cache / locked if locked else None
        if kept and kept.is_file() and hashlib.sha256(data := kept.read_bytes()).hexdigest() == locked:
            return data
        if not locked and not url.startswith(self.allowed):
            remedy = f"Import a copy in the template's folder, or allow it: {ALLOW}='{url.rpartition('/')[0]}/'."
            raise CantiereError(Problem("import.url", f"Imports from {url!r} are not allowed.", remedy))
        data = _download(url)
        found = hashlib.sha256(data).hexdigest()
        if locked and found != locked:
            remedy = f"If the change is wanted, remove its line from {self.lock.name}."
            raise CantiereError(Problem("import.hash", f"{url!r} is not what it was when it was locked.", remedy))
        write_atomic(self.cache / found, data, READABLE)
        if not locked:
            entries = sorted({**self._locked(), url: found}.items())
            write_atomic(self.lock, "".join(f"{digest}  {name}\n" for name, digest in entries), READABLE)
        return data

    def _locked(self) -> dict[str, str]:
        """URL to hash."""
        text = self.lock.read_text(encoding="utf-8") if self.lock.is_file() else ""
        return {found[2]: found[1] for line in text.splitlines() if (found := _LINE.fullmatch(line))}


def _download(url: str) -> bytes:
    import requests

    try:
        with requests.get(url, timeout=TIMEOUT, stream=True) as answer:
            answer.raise_for_status()
            data = answer.raw.read(UNIT + 1, decode_content=True)
    except (requests.RequestException, OSError) as error:
        message = f"{url!r} cannot be got: {type(error).__name__}."
        raise CantiereError(Problem("import.fetch", message, "Correct the URL, or import a copy in the template's folder.")) from error
    if len(data) > UNIT:
        raise CantiereError(Problem("import.fetch", f"{url!r} has more than {UNIT} bytes.", "Import a smaller file."))
    return bytes(data)
