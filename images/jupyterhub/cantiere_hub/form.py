"""The spawn page: its form, and what is made of the answers. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

GIB = 1 << 30
LEAST_MEMORY = 0.5
USUAL_MEMORY = 2.0
"""In GiB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What users may choose from.

    Parameters
    ----------
    images:
        Image reference to the title that users read, the first one preselected.
    image_pattern:
        Regular expression of references that may be typed in, or ``""``.
    max_cpus, max_gpus:
        Most cores and GPUs.
    max_memory:
        Most memory in bytes.
    """

    images: Mapping[str, str]
    image_pattern: str
    max_cpus: int
    max_memory: int
    max_gpus: int

    @property
    def max_gib(self) -> float:
        """Most memory in GiB, rounded down to what the page can show."""
        return math.floor(self.max_memory / GIB * 10) / 10


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user chose: an image's reference, cores, bytes of memory and GPUs."""

    image: str
    cpus: int
    memory: int
    gpus: int


def parse(form: Mapping[str, Sequence[str]], limits: Limits) -> dict[str, str]:
    """The answers of the page as the options of a server; a typed image goes before the selected one.

    Raises
    ------
    ValueError
        As of :func:`choose`.
    """
    answers = {name: values[0].strip() for name, values in form.items() if values}
    options = {name: answers[name] for name in ("image", "cpus", "memory", "gpus") if answers.get(name)}
    if typed := answers.get("typed_image"):
        options["image"] = typed
    choose(options, limits)
    return options


def choose(options: Mapping[str, Any], limits: Limits) -> Choice:
    """Check a server's options, wherever they came from; what is not given is what the page preselects.

    Parameters
    ----------
    options:
        ``image``, ``cpus``, ``memory`` in GiB, and ``gpus``.
    limits:
        What may be chosen.

    Raises
    ------
    ValueError
        An option is unknown or out of range; the text is for the user.
    """
    unknown = sorted(set(options) - {"image", "cpus", "memory", "gpus"})
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}: a server has image, cpus, memory and gpus")
    image = str(options.get("image") or next(iter(limits.images)))
    if image not in limits.images and not (limits.image_pattern and re.fullmatch(limits.image_pattern, image)):
        typed = ", or type in registry/path:tag" if limits.image_pattern else ""
        raise ValueError(f"image {image!r} is out of range: choose one of the list{typed}")
    memory = _number(options, "memory", usual(limits), LEAST_MEMORY, limits.max_gib, " GiB")
    return Choice(
        image=image,
        cpus=int(_number(options, "cpus", 1, 1, limits.max_cpus, "", whole=True)),
        memory=min(int(memory * GIB), limits.max_memory),
        gpus=int(_number(options, "gpus", 0, 0, limits.max_gpus, "", whole=True)),
    )


def usual(limits: Limits) -> float:
    """Memory in GiB that is preselected."""
    return min(USUAL_MEMORY, limits.max_gib)


def page(limits: Limits) -> str:
    """The form's fields, in the page that JupyterHub puts around them."""
    choices = "".join(f'<option value="{escape(image)}">{escape(title)}</option>' for image, title in limits.images.items())
    fields = [
        _field("image", "Image", f'<select class="form-select" id="image" name="image">{choices}</select>', ""),
        _field("typed_image", "or another image", _TYPED_INPUT, _TYPED_HELP) if limits.image_pattern else "",
        _field("cpus", "Cores", _input("cpus", 1, 1, limits.max_cpus, 1), f"1 to {limits.max_cpus}"),
        _field("memory", "Memory", _input("memory", usual(limits), LEAST_MEMORY, limits.max_gib, 0.1, "GiB"), _memory_help(limits)),
        _field("gpus", "GPUs", _input("gpus", 0, 0, limits.max_gpus, 1), _gpus_help(limits)),
    ]
    return "\n".join(filter(None, fields))


_TYPED_INPUT = (
    '<input class="form-control" id="typed_image" name="typed_image" type="text" autocomplete="off" spellcheck="false"'
    ' placeholder="registry/path:tag" aria-describedby="typed_image-help">'
)
_TYPED_HELP = (
    "An image of a registry, named in full with a tag or digest; it goes before the list. It must hold jupyterhub-singleuser; "
    "the token is kept fresh in images that build on the facility's own."
)


def _memory_help(limits: Limits) -> str:
    return f"{LEAST_MEMORY:g} to {limits.max_gib:g} GiB; a process that asks for more is ended"


def _gpus_help(limits: Limits) -> str:
    return f"0 to {limits.max_gpus}" if limits.max_gpus else "this facility offers none"


def _field(name: str, label: str, control: str, help_text: str) -> str:
    note = f'<div class="form-text" id="{name}-help">{escape(help_text)}</div>' if help_text else ""
    return f'<div class="mb-3"><label class="form-label" for="{name}">{escape(label)}</label>{control}{note}</div>'


def _input(name: str, value: float, least: float, most: float, step: float, unit: str = "") -> str:
    field = (
        f'<input class="form-control" id="{name}" name="{name}" type="number" required value="{value:g}"'
        f' min="{least:g}" max="{most:g}" step="{step:g}" aria-describedby="{name}-help">'
    )
    return f'<div class="input-group">{field}<span class="input-group-text">{unit}</span></div>' if unit else field


def _number(options: Mapping[str, Any], name: str, preset: float, least: float, most: float, unit: str, *, whole: bool = False) -> float:
    given = options.get(name, preset)
    try:
        value = float(given)
    except (TypeError, ValueError):
        raise ValueError(f"{name} {given!r} is not a number") from None
    if whole and value != int(value if math.isfinite(value) else 0):
        raise ValueError(f"{name} {given} is not a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name} {given}{unit} is out of range: choose {least:g} to {most:g}{unit}")
    return value
