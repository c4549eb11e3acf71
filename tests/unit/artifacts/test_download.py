"""Files from elsewhere are the pinned ones, or they are refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cantiere import supply
from cantiere.errors import CantiereError
from cantiere.supply import download, pins
from cantiere.supply.pins import Anywhere

CONTENT = b"the program\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        assert format


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def quiet(line: str) -> None:
    assert line


def test_by_web_and_by_path(web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    (folder / "program").write_bytes(CONTENT)
    for source in (f"{address}/program", str(folder / "program")):
        download.fetch(source, DIGEST, tmp_path / "got" / "program", "program", quiet)
        assert (tmp_path / "got" / "program").read_bytes() == CONTENT


def test_another_file_is_refused(web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    (folder / "program").write_bytes(b"something else\n")
    found = hashlib.sha256(b"something else\n").hexdigest()
    with pytest.raises(CantiereError) as caught:
        download.fetch(f"{address}/program", DIGEST, tmp_path / "program", "program 1.0", quiet)
    problem = caught.value.problems[0]
    assert problem.code == "artifact.hash"
    assert all(text in problem.message for text in ("program 1.0", DIGEST, found, f"{address}/program"))
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize("source", ["{address}/none", "{folder}/none", "http://127.0.0.1:9/none"])
def test_what_cannot_be_read_is_told(web: tuple[Path, str], tmp_path: Path, source: str) -> None:
    folder, address = web
    place = source.format(folder=folder, address=address)
    with pytest.raises(CantiereError, match=r"artifact\.unavailable") as caught:
        download.fetch(place, DIGEST, tmp_path / "program", "program", quiet)
    assert place in str(caught.value)
    assert not (tmp_path / "program").exists()


def pinned_at(tmp_path: Path, address: str, name: str, digest: str) -> Anywhere:
    version = supply.version(name, Anywhere())
    file = tmp_path / "pins.yml"
    files = "\n".join(
        f"        {key}: {{url: '{address}/{{version}}/{{arch}}/{key}', sha256: {{{version}: {{amd64: {digest}}}}}}}"
        for key in pins.catalogue(Anywhere())["binaries"][name]["upstream"]["files"]
    )
    file.write_text(f"binaries:\n  {name}:\n    upstream:\n      files:\n{files}\n", encoding="utf-8")
    return Anywhere("upstream", artifacts_file=file)


def test_upstream_programs(web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    site = pinned_at(tmp_path, address, "kubernetes", DIGEST)
    place = folder / supply.version("kubernetes", site) / "amd64"
    place.mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "kubectl"):
        (place / name).write_bytes(CONTENT)
    stored = supply.ensure(["kubernetes"], site, "amd64", quiet, tmp_path)["kubernetes"]
    assert (stored.supply, {file.name: file.sha256 for file in stored.files}) == (
        "upstream",
        dict.fromkeys(("kubeadm", "kubelet", "kubectl"), DIGEST),
    )
    assert all(file.path.stat().st_mode & 0o111 for file in stored.files)


def test_upstream_archive(web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("etcd", "etcdctl", "etcdutl"):
            member = tarfile.TarInfo(f"etcd-x/{name}")
            member.size = len(CONTENT)
            archive.addfile(member, io.BytesIO(CONTENT))
    site = pinned_at(tmp_path, address, "etcd", hashlib.sha256(packed.getvalue()).hexdigest())
    place = folder / supply.version("etcd", site) / "amd64"
    place.mkdir(parents=True)
    (place / "etcd.tar.gz").write_bytes(packed.getvalue())
    stored = supply.ensure(["etcd"], site, "amd64", quiet, tmp_path)["etcd"]
    assert [(file.name, file.sha256) for file in stored.files] == [(name, DIGEST) for name in ("etcd", "etcdctl", "etcdutl")]
    assert not (stored.folder / "etcd.tar.gz").exists()


@pytest.mark.parametrize("name", ["kubernetes-images", "kube-router-image"])
def test_without_a_hash_nothing_is_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(CantiereError, match=r"artifact\.unpinned"):
        supply.ensure([name], Anywhere("upstream"), "amd64", quiet, tmp_path)


def test_a_version_without_a_hash_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pins.yml"
    file.write_text("binaries: {etcd: {version: 3.99.0}}\n", encoding="utf-8")
    with pytest.raises(CantiereError, match=r"etcd 3\.99\.0 for amd64: no hash"):
        supply.ensure(["etcd"], Anywhere("upstream", artifacts_file=file), "amd64", quiet, tmp_path)
