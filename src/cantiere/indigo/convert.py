"""From values of theirs to values of ours, as TOSCA writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cantiere.tosca.scalars import scalar

_WORD = re.compile(r"[^\s,;]+")


def size(value: Any) -> str | None:
    """Bytes, or a text such as ``4 GB`` or ``8Gi``; None where it is 0 or no size."""
    text = str(value)
    found = value if isinstance(value, int) else scalar("scalar-unit.size", f"{text}B" if text.endswith("i") else text)
    return f"{int(found)} B" if found else None


def share(part: float) -> Callable[[Any], str | None]:
    """A converter that gives a part of a size."""

    def converted(value: Any) -> str | None:
        whole = size(value)
        return f"{int(int(whole.removesuffix(' B')) * part)} B" if whole else None

    return converted


def memory(value: Any) -> str | None:
    """What of a machine's memory a service may have: three quarters, the rest is for the system and for Kubernetes."""
    return share(0.75)(value)


def words(value: Any) -> list[str]:
    """The words of a text that separates them by spaces or commas."""
    return _WORD.findall(str(value))


def groups(value: Any) -> list[str]:
    """Groups of an IAM, each with the slash at its beginning that ours have."""
    return [f"/{word.lstrip('/')}" for word in words(value)]


def issuer(value: Any) -> str:
    """The URL of an issuer, without a slash at its end."""
    text = str(value).rstrip("/")
    return text if "://" in text else f"https://{text}"


def labels(value: Any) -> dict[str, str]:
    """Labels of a node of Kubernetes, from ``key=value`` separated by commas."""
    return {key: text for key, equals, text in (word.partition("=") for word in words(value)) if equals}


def images(value: Any) -> list[dict[str, str]]:
    """Images on the spawn page."""
    return [{"title": word.rpartition("/")[2], "image": word} for word in words(value)]


def repository(value: Any) -> list[str]:
    """CVMFS repositories."""
    return [word for word in words(value) if "." in word]


def driver(value: Any) -> str:
    """What volumes are made of."""
    return str(value).lower()


def domain(value: Any) -> str:
    """A DNS name, without what dynamic DNS services put before it."""
    return str(value).rpartition("@")[2].lower()
