from __future__ import annotations

from pathlib import Path

import pytest

from cantiere import names
from cantiere import site as sites
from cantiere.errors import TemplateError
from cantiere.events import EventLog, read_from


def test_the_hosts_block_is_put_replaced_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    before = "127.0.0.1 localhost\n# mine\n10.0.0.1 other\n"
    hosts.write_text(before)
    monkeypatch.setattr(names, "HOSTS", hosts)
    names.write("cantiere-x", {"a.x": "10.9.0.1", "b.x": "10.9.0.2"})
    names.write("cantiere-y", {"a.y": "10.8.0.1"})
    assert names.read("cantiere-x") == {"a.x": "10.9.0.1", "b.x": "10.9.0.2"}
    names.write("cantiere-x", {"a.x": "10.9.0.3"})
    assert names.read("cantiere-x") == {"a.x": "10.9.0.3"}
    assert names.read("cantiere-y") == {"a.y": "10.8.0.1"}
    names.write("cantiere-x", {})
    names.write("cantiere-y", {})
    assert hosts.read_text() == before


def test_events_are_read_line_by_line_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "events"
    log = EventLog(path)
    log.write("task", title="one")
    found, offset = read_from(path, 0)
    assert [event["title"] for event in found] == ["one"]
    with path.open("a") as handle:
        handle.write('{"event": "half')
    assert read_from(path, offset) == ([], offset)


def test_the_site_of_this_machine_can_be_read() -> None:
    site = sites.load(sites.find("here"))
    assert site.prefix == "cantiere-here"
    assert site.template.name == "facility.yaml"
    assert site.inputs_file is not None and site.inputs_file.is_file()


def test_a_site_says_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "cantiere.yml"
    path.write_text("site: x\ntemplate: t.yaml\nplatform: moon\nsubnet: 10.0.0.0/24\nbind_address: nowhere\nextra: 1\n")
    with pytest.raises(TemplateError) as caught:
        sites.load(path)
    assert [problem.path for problem in caught.value.problems] == ["extra", "subnet", "platform", "bind_address"]


def test_an_unknown_site_names_the_known_ones() -> None:
    with pytest.raises(TemplateError, match="here"):
        sites.find("there")
