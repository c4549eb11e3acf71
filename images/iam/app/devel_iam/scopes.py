"""Which scopes are granted: what is asked, cut down to what is allowed. A storage scope covers the paths below its own."""

from __future__ import annotations

from collections.abc import Iterable


def granted(asked: str | None, *allowed: Iterable[str]) -> str:
    """What is granted of a wish.

    Parameters
    ----------
    asked:
        Scopes, space separated.
    allowed:
        Lists of scopes; a scope has to be covered by one of each list.

    Returns
    -------
    str
        The scopes granted, in the order asked, each once.
    """
    lists = [tuple(scopes) for scopes in allowed]
    wishes = dict.fromkeys((asked or "").split())
    return " ".join(wish for wish in wishes if all(any(covers(scope, wish) for scope in scopes) for scopes in lists))


def covers(allowed: str, asked: str) -> bool:
    """Whether a scope permits another: the same, or the same action on a path below (``storage.read:/`` covers ``storage.read:/cms``)."""
    if allowed == asked:
        return True
    action, _, path = allowed.partition(":")
    other, _, below = asked.partition(":")
    if action != other or not path.startswith("/") or ".." in below.split("/"):
        return False
    return below.startswith(path.rstrip("/") + "/")
