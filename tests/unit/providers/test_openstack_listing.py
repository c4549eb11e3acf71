"""Listings of the provider openstack: page after page, each object as the parts of the provider take it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.providers.openstack.listing import OF_PORTS
from support.small_cloud import PROJECT, Fault, SmallCloud
from unit.providers.test_openstack import CONTROL, WORKER, provider, raised

PAGE = 2
WORKERS = [replace(WORKER, name=f"worker-{number}") for number in range(1, 6)]


def paging(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """Let the cloud give few objects at once, as services do where there are more than a thousand; the listings that it is asked for."""
    whole, asked = SmallCloud.answer, list[tuple[str, dict[str, str]]]()

    def answer(self: SmallCloud, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        kind, begin = path.removesuffix("/detail").rpartition("/")[2], int(query.pop("from", 0))
        found = whole(self, method, path, query, body)
        if method != "GET" or kind not in ("servers", "ports", "volumes", "floatingips"):
            return found
        asked.append((kind, query))
        items, end = found[kind], begin + PAGE
        words = "&".join([f"from={end}", *(f"{name}={value}" for name, value in query.items())])
        href = f"http://inside.example.org/{kind}?{words}"  # services name themselves by an address that may lead nowhere from here
        links = [{"rel": "previous", "href": "/"}, *([{"rel": "next", "href": href}] if end < len(items) else [])]
        return {kind: items[begin:end], f"{kind}_links": links}

    monkeypatch.setattr(SmallCloud, "answer", answer)
    return asked


def test_page_after_page(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages are read, each asked for with what the first was; what is listed is what was made."""
    source = provider(tmp_path, floating_ips="all", data_volumes={"worker": {"size": 5}})
    raised(source, CONTROL, *WORKERS[:4])
    whole = source.observe()
    asked = paging(monkeypatch)
    assert source.observe() == whole
    pages = {kind: [query for name, query in asked if name == kind] for kind in ("servers", "ports", "floatingips", "volumes")}
    assert {kind: len(queries) for kind, queries in pages.items()} == {"servers": 3, "ports": 4, "floatingips": 3, "volumes": 2}
    assert pages["servers"] == [{"name": r"^cantiere\-lab-"}] * 3
    assert pages["ports"] == [{"project_id": PROJECT, "fields": " ".join(OF_PORTS)}] * 4
    one = whole["worker-2"]
    assert (one.state, one.address, one.detail["flavor"], one.detail["disk"]) == ("running", "10.30.0.22", "medium", 40)
    assert (one.detail["zone"], one.detail["volumes"], one.detail["loose"]) == ("east", {"data": 5}, [])
    assert one.detail["floating"] == "198.51.100.12" and one.host_key.startswith("ssh-ed25519 ")
    for name in whole:
        source.delete(name)
    assert not source.observe() and not cloud.objects["volumes"]


def test_a_listing_that_is_refused(cloud: SmallCloud, tmp_path: Path) -> None:
    """A fault of a listing is told as every other: the code and the cloud's own words."""
    source = provider(tmp_path)
    cloud.faults.append(Fault("GET", "/servers/detail$", 403, "Policy doesn't allow this"))
    with pytest.raises(CantiereError, match=r"Policy doesn't allow this.*\[openstack.rights\]"):
        source.observe()
