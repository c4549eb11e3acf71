"""Writes the four artefacts of templates into a portfolio: template, parameters, metadata, card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.declared import Declared, checked, declared, mapping
from cantiere.errors import CantiereError, Problem
from cantiere.export.simple import simple
from cantiere.export.written import dump
from cantiere.portfolio.check import CARDS, METADATA, PARAMETERS, TEMPLATES, check
from cantiere.portfolio.dashboard import Artefacts, artefacts
from cantiere.portfolio.pages import Report, conforms, read
from cantiere.tosca.problems import locate, quote

CARDS_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True)
class Built:
    """What was written.

    Parameters
    ----------
    files:
        Paths below the portfolio's folder.
    notices:
        What the dashboard shows less of, and what TOSCA 1.0 says less of.
    """

    files: tuple[str, ...]
    notices: tuple[Problem, ...]


def build(folder: Path, templates: Sequence[Path], groups: Sequence[str] = ()) -> Built:
    """Write the artefacts of templates; cards of others in the folder stay.

    Parameters
    ----------
    folder:
        The portfolio; it is made where it is not there.
    templates:
        Service templates.
    groups:
        Groups that see them; empty for all that the dashboard knows.

    Raises
    ------
    CantiereError
        A template is invalid or cannot be said in TOSCA 1.0, or what is in the folder would break the dashboard.
    """
    files: dict[str, str] = {}
    notices: list[Problem] = []
    cards = _cards(folder)
    for path in templates:
        checked(path)
        template = declared(path)
        document, lost = simple(template)
        made = artefacts(template, groups)
        note = f"# Made by `cantiere portfolio build` from {path.name}: change that, not this.\n"
        files[f"{TEMPLATES}/{path.stem}.yaml"] = note + dump(document)
        files[f"{PARAMETERS}/{path.stem}.parameters.yml"] = note + dump(made.parameters)
        files[f"{METADATA}/{path.stem}.metadata.yml"] = note + dump(made.metadata)
        cards[made.card["metadata"]["bookmark_id"]] = made.card
        notices += [*lost, *_unshown(template, made)]
    files[f"{METADATA}/{CARDS[0]}"] = dump({"version": CARDS_VERSION, "services": list(cards.values())})
    _write(folder, files)
    report = check(folder)
    if report.errors:
        raise CantiereError(report.errors)
    return Built(tuple(files), (*notices, *report.warnings))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror}"
            raise CantiereError(Problem("portfolio.write", message, "name a folder that you may write to", path=str(folder))) from error


def _cards(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The cards that the folder has, by their bookmarks."""
    path, report = folder / METADATA / CARDS[0], Report()
    if not path.is_file():
        return {}
    page = read(path, str(path), report)
    if page is None or not conforms(page, "cards", report):
        raise CantiereError(report.errors)
    return {service["metadata"]["bookmark_id"]: service for service in page.value["services"]}


def _unshown(template: Declared, made: Artefacts) -> list[Problem]:
    """A notice for each input that the dashboard has no field for, and for an icon that it cannot find."""
    found = []
    icon = template.metadata.get("icon")
    if icon and str(icon) != made.card["metadata"]["icon"]:
        message = f"The icon {quote(str(icon))} is no URL: the card has a drawing of ours in its place."
        where = locate(mapping(template.root.get("metadata")).entries["icon"].mark)
        found.append(Problem("portfolio.icon", message, "Write the URL of a picture.", where, "metadata.icon"))
    for field in made.unshown:
        entry = field.schema.entry
        what = f"{field.schema.title} of {entry.title}" if entry else field.schema.title
        message = f"The dashboard has no field for the input {quote(field.name)} ({what}): it keeps its default."
        remedy = "Nothing is to be done, unless users have to change it: then make it a list or map of string."
        where = locate(template.inputs[field.name].body.mark)
        found.append(Problem("portfolio.unshown", message, remedy, where, f"topology_template.inputs.{field.name}"))
    return found
