"""The spawn page: its form, and what is made of the answers. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

GIB = 1 << 30
LEAST_MEMORY = 0.5
USUAL_MEMORY = 2.0
"""In GiB."""


STACK = "CANTIERE_STACK"
"""Variable that names the script with which kernels and terminals begin."""
OPTIONS = ("image", "size", "cpus", "memory", "gpus", "stack")


@dataclass(frozen=True, slots=True)
class Profile:
    """A size that the facility offers by name.

    Parameters
    ----------
    title:
        What users read and choose.
    cpus, gpus:
        Cores and GPUs.
    memory:
        Bytes.
    groups:
        Whose members may have it; empty is everybody.
    """

    title: str
    cpus: int
    memory: int
    gpus: int
    groups: tuple[str, ...] = ()


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
    profiles:
        Sizes by name, beside those that users put together themselves.
    stacks:
        Title of a software stack to the script that sets its environment up.
    image_groups:
        Image to the groups whose members alone may have it.
    """

    images: Mapping[str, str]
    image_pattern: str
    max_cpus: int
    max_memory: int
    max_gpus: int
    profiles: tuple[Profile, ...] = ()
    stacks: Mapping[str, str] = field(default_factory=dict)
    image_groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def max_gib(self) -> float:
        """Most memory in GiB, rounded down to what the page can show."""
        return math.floor(self.max_memory / GIB * 10) / 10

    def of(self, groups: Iterable[str]) -> Limits:
        """The same for a member of these groups: without the images and profiles that are others'."""
        known = set(groups)

        def free(wanted: Iterable[str]) -> bool:
            return not wanted or not known.isdisjoint(wanted)

        return replace(
            self,
            images={image: title for image, title in self.images.items() if free(self.image_groups.get(image, ()))},
            profiles=tuple(item for item in self.profiles if free(item.groups)),
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user chose: an image's reference, cores, bytes of memory, GPUs, and the titles of a profile and a stack, or ``""``."""

    image: str
    cpus: int
    memory: int
    gpus: int
    profile: str = ""
    stack: str = ""


def parse(form: Mapping[str, Sequence[str]], limits: Limits) -> dict[str, str]:
    """The answers of the page as the options of a server; a typed image goes before the selected one, a profile before the numbers.

    Raises
    ------
    ValueError
        As of :func:`choose`.
    """
    answers = {name: values[0].strip() for name, values in form.items() if values}
    chosen = [name for name in OPTIONS if answers.get(name) and not (answers.get("size") and name in ("cpus", "memory", "gpus"))]
    options = {name: answers[name] for name in chosen}
    if typed := answers.get("typed_image"):
        options["image"] = typed
    choose(options, limits)
    return options


def choose(options: Mapping[str, Any], limits: Limits) -> Choice:
    """Check a server's options, wherever they came from; what is not given is what the page preselects.

    Parameters
    ----------
    options:
        ``image``, ``cpus``, ``memory`` in GiB, ``gpus``, ``stack``, and ``size``, a profile, which goes before the three numbers.
    limits:
        What may be chosen.

    Raises
    ------
    ValueError
        An option is unknown or out of range; the text is for the user.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}: a server has {', '.join(OPTIONS)}")
    image = str(options.get("image") or next(iter(limits.images)))
    if image not in limits.images and not (limits.image_pattern and re.fullmatch(limits.image_pattern, image)):
        typed = ", or type in registry/path:tag" if limits.image_pattern else ""
        raise ValueError(f"image {image!r} is out of range: choose one of the list{typed}")
    stack = _listed(options, "stack", limits.stacks)
    named = _listed(options, "size", [profile.title for profile in limits.profiles])
    for profile in limits.profiles:
        if profile.title == named:
            return Choice(image, profile.cpus, profile.memory, profile.gpus, named, stack)
    memory = _number(options, "memory", usual(limits), LEAST_MEMORY, limits.max_gib, " GiB")
    return Choice(
        image=image,
        cpus=int(_number(options, "cpus", 1, 1, limits.max_cpus, "", whole=True)),
        memory=min(int(memory * GIB), limits.max_memory),
        gpus=int(_number(options, "gpus", 0, 0, limits.max_gpus, "", whole=True)),
        stack=stack,
    )


def placement(choice: Choice, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a choice may run on a cluster: the profile's own place, else the usual one of servers with or without GPUs.

    Parameters
    ----------
    choice:
        What the user chose.
    settings:
        The hub's: ``profiles`` with their ``placement``, and ``gpu_placement``.

    Returns
    -------
    dict
        ``gpu`` (the resource's name), ``node_selector`` and ``tolerations``.
    """
    for profile in settings["profiles"]:
        if profile["title"] == choice.profile:
            return dict(profile["placement"])
    nowhere = {"gpu": "", "node_selector": {}, "tolerations": []}
    return dict(settings["gpu_placement"]) if choice.gpus else nowhere


def image_groups(settings: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Images for computations to the groups whose members alone may have them, where the hub's settings name such groups."""
    told = settings.get("computing", {"images": (), "groups": ()})
    return {image: frozenset(told["groups"]) for image in told["images"] if told["groups"]}


def computing(choice: Choice, limits: Limits, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a server gets to make pods with, where its image is one for that; an image that was typed in counts if it is on the list too.

    Parameters
    ----------
    choice, limits:
        What the user chose, and from what.
    settings:
        The hub's: ``computing``, where users may.

    Returns
    -------
    dict
        ``account`` (a service account or None), ``labels`` of the pod and its ``environment``.
    """
    told = settings.get("computing", {"images": ()})
    if choice.image in told["images"] and choice.image in limits.images:
        return {name: told[name] for name in ("account", "labels", "environment")}
    return {"account": None, "labels": {}, "environment": {}}


def usual(limits: Limits) -> float:
    """Memory in GiB that is preselected."""
    return min(USUAL_MEMORY, limits.max_gib)


def page(limits: Limits) -> str:
    """The form's fields, in the page that JupyterHub puts around them."""
    sizes = {"": "as given below", **{item.title: f"{item.title} ({_size(item)})" for item in limits.profiles}}
    stacks = {"": "none", **{title: title for title in limits.stacks}}
    fields = [
        _field("image", "Image", _select("image", limits.images), ""),
        _field("typed_image", "or another image", _TYPED_INPUT, _TYPED_HELP) if limits.image_pattern else "",
        _field("stack", "Software stack", _select("stack", stacks), _STACK_HELP) if limits.stacks else "",
        _field("size", "Size", _select("size", sizes), "a named size goes before the numbers") if limits.profiles else "",
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


_STACK_HELP = "Its environment is set up in every kernel and terminal."


def _memory_help(limits: Limits) -> str:
    return f"{LEAST_MEMORY:g} to {limits.max_gib:g} GiB; a process that asks for more is ended"


def _gpus_help(limits: Limits) -> str:
    return f"0 to {limits.max_gpus}" if limits.max_gpus else "this facility offers none"


def _size(profile: Profile) -> str:
    gpus = f", {profile.gpus} GPU" if profile.gpus else ""
    return f"{profile.cpus} cores, {profile.memory / GIB:g} GiB{gpus}"


def _select(name: str, choices: Mapping[str, str]) -> str:
    """A list to choose from: value to what users read."""
    options = "".join(f'<option value="{escape(value)}">{escape(title)}</option>' for value, title in choices.items())
    return f'<select class="form-select" id="{name}" name="{name}">{options}</select>'


def _field(name: str, label: str, control: str, help_text: str) -> str:
    note = f'<div class="form-text" id="{name}-help">{escape(help_text)}</div>' if help_text else ""
    return f'<div class="mb-3"><label class="form-label" for="{name}">{escape(label)}</label>{control}{note}</div>'


def _input(name: str, value: float, least: float, most: float, step: float, unit: str = "") -> str:
    field = (
        f'<input class="form-control" id="{name}" name="{name}" type="number" required value="{value:g}"'
        f' min="{least:g}" max="{most:g}" step="{step:g}" aria-describedby="{name}-help">'
    )
    return f'<div class="input-group">{field}<span class="input-group-text">{unit}</span></div>' if unit else field


def _listed(options: Mapping[str, Any], name: str, known: Iterable[str]) -> str:
    value = str(options.get(name) or "")
    if value and value not in known:
        raise ValueError(f"{name} {value!r} is not on the list")
    return value


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
