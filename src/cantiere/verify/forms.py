"""HTML forms, read as a browser does. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin


@dataclass(slots=True)
class Form:
    """A form of a web page.

    Parameters
    ----------
    action:
        Where it is sent, as an absolute URL.
    method:
        ``get`` or ``post``.
    fields:
        What a browser sends when nothing is filled in.
    choices:
        Values that a field offers (select, radio), by its name.
    """

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self._select = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self.url, values.get("action") or self.url), values.get("method", "get").lower()))
            self._inside = True
        elif self._inside and tag in ("input", "textarea"):
            self._input(values)
        elif self._inside and tag == "select":
            self._select = values.get("name", "")
        elif self._inside and tag == "option" and self._select:
            form, value = self.forms[-1], values.get("value", "")
            form.choices.setdefault(self._select, []).append(value)
            if "selected" in values or self._select not in form.fields:
                form.fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = ""

    def _input(self, values: dict[str, str]) -> None:
        form, name, kind = self.forms[-1], values.get("name", ""), values.get("type", "text").lower()
        if not name or kind in ("submit", "button", "reset", "image", "file"):
            return
        if kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(values.get("value", "on"))
            if "checked" not in values:
                return
        form.fields[name] = values.get("value", "on" if kind in ("radio", "checkbox") else "")


def read_forms(page: str, url: str) -> list[Form]:
    """All forms of a page.

    Parameters
    ----------
    page:
        The HTML text.
    url:
        Where it came from; actions are relative to it.
    """
    reader = _Reader(url)
    reader.feed(page)
    return reader.forms


def find_form(page: str, url: str, name: str) -> Form | None:
    """The first form of a page that has a field of that name."""
    for form in read_forms(page, url):
        if name in form.fields or name in form.choices:
            return form
    return None
