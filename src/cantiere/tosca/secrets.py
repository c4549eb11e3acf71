"""Secret inputs (``metadata: {secret: true}``): references alone, and never shown."""

from __future__ import annotations

import re

from cantiere.tosca.elements import Element, Scalar
from cantiere.tosca.problems import Problems, quote
from cantiere.tosca.schema import Schema

_REFERENCE = re.compile(r"generate:[a-z-]+|env:\w+|file:\S.*|vault:[\w./-]+")


def check(name: str, schema: Schema, element: Element, problems: Problems) -> bool:
    """Whether what is given for an input may be used: a secret one takes a reference. What is given is never part of the message.

    Parameters
    ----------
    name, schema:
        The input.
    element:
        What is given.
    problems:
        Where the error goes.
    """
    if not schema.secret or (isinstance(element, Scalar) and isinstance(element.value, str) and _REFERENCE.fullmatch(element.text)):
        return True
    message = f"The input {quote(name)} is secret: it takes a reference, not the value itself."
    problems.texts.pop(element.mark.name, None)
    problems.error("input.secret", message, "Write env:NAME, file:PATH, vault:NAME or generate:password.", element, name)
    return False
