"""Imports: folders, archives, repositories, namespaces, and URLs with their lock."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cantiere.errors import TemplateError
from cantiere.imports import Imports, fetcher
from cantiere.tosca.compile import load
from support.templates import HEAD, TYPES, Loader, template

SERVER = "    s: {type: t.Server}\n"
MORE = f"{HEAD}node_types:\n  t.More: {{derived_from: t.Server}}\n"


def importing(entry: str, nodes: str = SERVER, more: str = "") -> str:
    return template(nodes, types=f"{more}imports:\n  - {entry}\n")


def archive(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return made.getvalue()


def test_3_6_8_folder(tosca: Loader) -> None:
    tosca.write("types/a.yaml", HEAD + TYPES)
    tosca.write("types/b.yaml", MORE)
    assert tosca(importing("types", "    s: {type: t.More}\n")).facility.node("s").type == "t.More"


def test_3_6_8_empty_folder(tosca: Loader) -> None:
    (tosca.folder / "none").mkdir()
    assert "import.missing:3" in tosca.codes(importing("none"))


def test_3_6_6_repository(tosca: Loader) -> None:
    tosca.write("lib/v1/a.yaml", HEAD + TYPES)
    text = importing("{file: a.yaml, repository: ours}", more="repositories: {ours: {url: lib/v1/}}\n")
    assert tosca(text).facility.node("s").type == "t.Server"


def test_3_2_namespace_prefix(tosca: Loader) -> None:
    tosca.write("a.yaml", HEAD + TYPES)
    text = importing("{file: a.yaml, namespace_prefix: p}", "    s: {type: 'p:t.Server'}\n")
    assert tosca(text).facility.node("s").type == "t.Server"
    assert tosca.codes(text.replace("p:t", "q:t")) == ["type.unknown:7"]


def test_profile_of_2_0(tosca: Loader) -> None:
    text = "tosca_definitions_version: tosca_2_0\nimports: [{profile: org.oasis-open.tosca.simple:2.0, namespace: tosca}]\n"
    text += "service_template:\n  node_templates:\n    n: {type: 'tosca:Compute'}\n"
    assert tosca(text).facility.node("n").type == "tosca.nodes.Compute"


FILES = {
    "TOSCA-Metadata/TOSCA.meta": "TOSCA-Meta-File-Version: 1.1\nEntry-Definitions: definitions/t.yaml\n",
    "definitions/t.yaml": importing("../types/a.yaml"),
    "types/a.yaml": HEAD + TYPES,
    "scripts/run.sh": "exit 0\n",
}


def test_6_archive(tosca: Loader) -> None:
    path = tosca.write("a.csar", archive(FILES))
    assert load(path).facility.node("s").where.file == str(path / "definitions" / "t.yaml")
    alone = tosca.write("b.zip", archive({"t.yaml": template(SERVER), "types/x.yaml": HEAD}))
    assert load(alone).facility.node("s").type == "t.Server"


def test_6_archive_is_imported(tosca: Loader) -> None:
    tosca.write("a.csar", archive({"a.yaml": HEAD + "imports: [sub/b.yaml]\n", "sub/b.yaml": HEAD + TYPES}))
    assert tosca(importing("a.csar")).facility.node("s").type == "t.Server"


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        archive({"a.yaml": HEAD, "b.yaml": HEAD}),
        archive({"TOSCA-Metadata/TOSCA.meta": "Entry-Definitions: x.yaml\n"}),
        archive({"../a.yaml": HEAD + TYPES}),
        archive({"a.yaml": "#" * (17 << 20)}),
        archive({f"{n}.txt": "" for n in range(2001)}),
        archive(FILES)[:-30],
    ],
)
def test_6_archive_that_is_refused(tosca: Loader, data: bytes) -> None:
    with pytest.raises(TemplateError) as caught:
        load(tosca.write("a.csar", data))
    assert [problem.code for problem in caught.value.problems] == ["csar.unusable"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of a folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as made:
        thread = Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", folder
        made.shutdown()
        thread.join()


def test_url_with_cache_and_lock(tosca: Loader, server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    (folder / "a.yaml").write_text(HEAD + "imports: [b.yaml]\n")
    (folder / "b.yaml").write_text(HEAD + TYPES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tosca.write("template.yaml", importing(f"{address}/a.yaml"))
    assert fetcher(path) is None and tosca.codes(path.read_text()) == ["import.url:3", "type.unknown:7"]
    monkeypatch.setenv("CANTIERE_IMPORTS", address)
    assert load(path, fetch=fetcher(path)).facility.node("s").type == "t.Server"
    locked = (tosca.folder / "imports.lock").read_text().splitlines()
    assert [line.split("  ")[1] for line in locked] == [f"{address}/a.yaml", f"{address}/b.yaml"]
    monkeypatch.delenv("CANTIERE_IMPORTS")
    (folder / "b.yaml").write_text(HEAD)
    assert load(path, fetch=fetcher(path)).facility.node("s").type == "t.Server"
    for kept in (tmp_path / "cache" / "cantiere" / "imports").iterdir():
        kept.unlink()
    with pytest.raises(TemplateError) as caught:
        load(path, fetch=fetcher(path))
    assert "import.hash" in [problem.code for problem in caught.value.problems]


def test_url_that_is_not_allowed_or_not_there(tosca: Loader, server: tuple[str, Path], tmp_path: Path) -> None:
    address, _ = server
    path = tosca.write("template.yaml", importing(f"{address}/none.yaml"))
    for allowed, code in (("https://example.org/", "import.url"), (address, "import.fetch")):
        with pytest.raises(TemplateError) as caught:
            load(path, fetch=Imports(tmp_path / "lock", tmp_path / "cache", (allowed,)).get)
        assert caught.value.problems[0].code == code
