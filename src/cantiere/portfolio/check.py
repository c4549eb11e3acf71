"""What is wrong with a folder of templates, parameters, metadata and cards, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.portfolio import forms
from cantiere.portfolio.forms import Form
from cantiere.portfolio.pages import Page, Report, conforms, read
from cantiere.tosca.problems import Problems, quote

TEMPLATES, PARAMETERS, METADATA = "tosca-templates", "tosca-parameters", "tosca-metadata"
CARDS = ("metadata.yml", "metadata.yaml")
SUFFIXES = (".yaml", ".yml")
LEGACY = (1, 1, 0)
"""From this version of metadata.yml on, cards are hidden from those whom no rule names; before it they are locked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A template with the files beside it.

    Parameters
    ----------
    template, parameters, metadata:
        The files; None where there is none, or it cannot be read.
    """

    template: Page
    parameters: Page | None
    metadata: Page | None

    @property
    def said(self) -> dict[str, Any]:
        """The metadata as the dashboard merges them."""
        return {**self.template.get("metadata"), **(self.metadata.get("metadata") if self.metadata else {})}


def check(folder: Path, shown: str | None = None) -> Report:
    """Check a portfolio.

    Parameters
    ----------
    folder:
        Holds ``tosca-templates``, ``tosca-parameters`` and ``tosca-metadata``; where the first is missing, the folder itself holds
        the templates.
    shown:
        The folder as messages call it.

    Raises
    ------
    CantiereError
        There is no such folder, or no template in it.
    """
    if not folder.is_dir():
        raise CantiereError(
            Problem("portfolio.folder", f"there is no folder {folder}", "name the folder of the portfolio", path=str(folder))
        )
    return _Checker(folder, shown or str(folder)).run()


class _Checker:
    def __init__(self, folder: Path, shown: str) -> None:
        self.folder, self.shown, self.report = folder, shown, Report()
        self.refused: set[Path] = set()  # templates whose files beside them are not what they should be: their forms are not looked at
        self.templates = folder / TEMPLATES if (folder / TEMPLATES).is_dir() else folder

    def run(self) -> Report:
        paths = [path for path in self._files(self.templates) if not self._beside(path)]
        if not paths:
            remedy = f"put templates (*.yaml, *.yml) into {TEMPLATES}"
            raise CantiereError(Problem("portfolio.empty", f"{self.shown} holds no templates", remedy, path=self.shown))
        used: set[Path] = set()
        entries = [entry for path in paths if (entry := self._entry(path, used)) is not None]
        names = self._names(entries)
        self._cards(names)
        for name in (PARAMETERS, METADATA):
            for path in self._files(self.folder / name):
                if path not in used and path.name not in CARDS:
                    message, remedy = "There is no template that this file belongs to.", f"Call it as the template below {TEMPLATES}."
                    self.report.warnings.append(Problem("portfolio.orphan", message, remedy, Location(self._called(path))))
        return self.report

    def _called(self, path: Path) -> str:
        return f"{self.shown.rstrip('/')}/{path.relative_to(self.folder).as_posix()}"

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file())

    def _beside(self, path: Path) -> bool:
        return self.templates == self.folder and path.relative_to(self.folder).parts[0] in (PARAMETERS, METADATA)

    def _entry(self, path: Path, used: set[Path]) -> Entry | None:
        template = read(path, self._called(path), self.report)
        parameters = self._companion(path, PARAMETERS, "parameters", used)
        metadata = self._companion(path, METADATA, "metadata", used)
        if template is None or not conforms(template, "template", self.report):
            return None
        if path not in self.refused:
            form = Form(template, parameters)
            self.report.errors.extend(forms.errors(form))
            self.report.warnings.extend(forms.warnings(form))
        return Entry(template, parameters, metadata)

    def _companion(self, template: Path, folder: str, kind: str, used: set[Path]) -> Page | None:
        """The file beside a template; one that begins with ``..`` is the name of another."""
        base = self.folder / folder / template.relative_to(self.templates).with_suffix("")
        for suffix in (".yml", ".yaml"):
            path = base.with_name(f"{base.name}.{kind}{suffix}")
            if not path.is_file():
                continue
            used.add(path)
            content = path.read_bytes()
            if kind == "parameters" and content.startswith(b".."):
                path = (path.parent / content.decode(errors="replace").strip()).resolve()
                if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
                    message = f"The file names {quote(content.decode(errors='replace').strip())}, which is not there."
                    self.report.errors.append(Problem("portfolio.link", message, "Correct the name.", Location(self._called(base))))
                    return None
                used.add(path)
            name = self._called(path) if path.is_relative_to(self.folder) else str(path)
            page = read(path, name, self.report)
            if page and conforms(page, "parameters" if kind == "parameters" else "template-metadata", self.report):
                return page
            self.refused.add(template)
            return page if page and isinstance(page.value, dict) else None
        return None

    def _names(self, entries: list[Entry]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for entry in entries:
            name = entry.said.get("template_name")
            page, path = (entry.metadata or entry.template), ("metadata", "template_name")
            if not isinstance(name, str) or not name:
                message = "The template has no template_name; the dashboard loads none of the templates."
                where = entry.template.where(("metadata",))
                remedy = "Add 'template_name:' to the metadata of the template, or to its metadata file."
                self.report.errors.append(Problem("portfolio.template_name", message, remedy, where, "metadata"))
            elif name in found:
                message = f"The template_name {quote(name)} is that of {found[name].template.name} too; one hides the other."
                self.report.errors.append(page.problem("template_name", message, "Give each template a name of its own.", path))
            else:
                found[name] = entry
        return found

    def _cards(self, templates: dict[str, Entry]) -> None:
        path = next((found for name in CARDS if (found := self.folder / METADATA / name).is_file()), None)
        if path is None:
            for entry in templates.values():
                self.report.errors.extend(_visibility(entry))
            return
        page = read(path, self._called(path), self.report)
        if page is None or not conforms(page, "cards", self.report):
            return
        self.report.errors.extend(_services(page, templates))
        shown = {one["name"] for service in page.value["services"] for one in service["templates"]}
        for name, entry in templates.items():
            if name not in shown:
                problem = entry.template.problem(
                    "unseen", f"No card shows the template {quote(name)}.", f"Add it to {page.name}.", ("metadata",)
                )
                self.report.warnings.append(problem)


def _visibility(entry: Entry) -> Iterator[Problem]:
    """Whether a template without cards is shown to anybody."""
    said = entry.said.get("visibility")
    page = entry.metadata if entry.metadata and "visibility" in entry.metadata.get("metadata") else entry.template
    remedy = "Write visibility: {type: public, groups_regex: '.*'}, or name the groups."
    if not isinstance(said, dict) or not {"groups", "groups_regex"} & said.keys():
        message = "The template's visibility names no groups: its card is locked for everybody."
        yield page.problem("visibility", message, remedy, ("metadata", "visibility"))
    elif "type" not in said:
        yield page.problem("visibility", "The visibility has no type; the dashboard stops at it.", remedy, ("metadata", "visibility"))


def _services(page: Page, templates: dict[str, Entry]) -> Iterator[Problem]:
    version = tuple(int(part) for part in str(page.value.get("version", "1.0.0")).split("-")[0].split("+")[0].split("."))
    bookmarks: set[str] = set()
    for number, service in enumerate(page.value["services"]):
        place = ("services", number, "metadata")
        visibility, bookmark = service["metadata"]["visibility"], service["metadata"]["bookmark_id"]
        if version < LEGACY:
            if "type" not in visibility:
                message = "The visibility has no type, which this version of the file needs; the dashboard stops at it."
                yield page.problem("visibility", message, "Add 'type: public', or write version: '1.1.0'.", (*place, "visibility"))
            if not {"groups", "groups_regex"} & visibility.keys():
                message = "The visibility names no groups: the card is locked for everybody."
                yield page.problem("visibility", message, "Add groups or groups_regex.", (*place, "visibility"))
        if bookmark in bookmarks:
            message = f"The bookmark_id {quote(bookmark)} is another card's too."
            yield page.problem("bookmark", message, "Give each card a bookmark_id of its own.", (*place, "bookmark_id"))
        bookmarks.add(bookmark)
        for index, one in enumerate(service["templates"]):
            if one["name"] not in templates:
                remedy = Problems().suggest(one["name"], templates, f"Name one of: {', '.join(templates) or 'none'}.")
                message = f"The card leads to the template {quote(one['name'])}, which there is not."
                yield page.problem("card", message, remedy, ("services", number, "templates", index, "name"))
