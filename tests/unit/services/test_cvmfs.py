"""The software repository: its containers, and what the publisher writes."""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from cantiere.errors import Location
from cantiere.model import Container, Facility, Mount, Node, Probe
from cantiere.services import cvmfs
from cantiere.services.facts import Facts
from support.tree import REPOSITORY, load

IMAGE = REPOSITORY / "images/cvmfs"
NAME = "software.here.internal"
FACTS = Facts(Facility("facility", "", (), {}), "here.internal", {"cvmfs": "/var/lib/x/cvmfs"}, "podman", "net", "here", {})


def node(*, enabled: bool) -> Node:
    return Node("software", cvmfs.TYPE, {"enabled": enabled, "repository": NAME}, {}, Location("facility.yaml", 1, 1))


def test_not_enabled_runs_nothing() -> None:
    assert cvmfs.containers(node(enabled=False), FACTS) == ()


def test_server_and_client() -> None:
    settings = {"repository": NAME, "port": 8000, "url": f"http://software.here.internal:8000/cvmfs/{NAME}"}
    assert cvmfs.containers(node(enabled=True), FACTS) == (
        Container(
            name="software",
            service="software",
            image="cvmfs",
            settings=settings,
            role="server",
            mounts=(Mount("software-data", "/srv/cvmfs"),),
            probe=Probe(("curl", "--silent", "--fail", "--output", "/dev/null", f"{settings['url']}/.cvmfspublished"), timeout=60.0),
        ),
        Container(
            name="software-client",
            service="software",
            image="cvmfs",
            settings=settings,
            role="client",
            mounts=(Mount("/var/lib/x/cvmfs", "/cvmfs", propagation="rshared"),),
            capabilities=("SYS_ADMIN",),
            devices=("/dev/fuse",),
            needs=("software",),
            probe=Probe((f"/cvmfs/{NAME}/bin/hello",), timeout=60.0),
        ),
    )


def test_the_client_is_the_version_that_is_pinned() -> None:
    wanted = load(REPOSITORY / "artifacts.yaml")["images"]["cvmfs"]["args"]["CVMFS_VERSION"]
    manifest = tomllib.loads((IMAGE / "client/Cargo.toml").read_text())
    locked = {package["name"]: package["version"] for package in tomllib.loads((IMAGE / "client/crates.lock").read_text())["package"]}
    assert (manifest["dependencies"]["cvmfs"], locked["cvmfs"]) == (f"={wanted}", wanted)


@pytest.fixture(scope="module")
def publisher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cvmfs_publish", IMAGE / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (folder / "bin/tool").chmod(0o755)
    (folder / "latest").symlink_to("bin")
    return folder


def fields(www: Path) -> dict[str, str]:
    text = (www / ".cvmfspublished").read_bytes().partition(b"--\n")[0].decode()
    return {line[0]: line[1:] for line in text.splitlines()}


def stored(www: Path, digest: str, suffix: str = "") -> bytes:
    packed = (www / "data" / digest[:2] / (digest[2:] + suffix)).read_bytes()
    assert hashlib.sha1(packed).hexdigest() == digest
    return zlib.decompress(packed)


def query(content: bytes, folder: Path, statement: str) -> list[tuple[object, ...]]:
    path = folder / "read.sqlite"
    path.write_bytes(content)
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_published_folder_reads_back(publisher: ModuleType, source: Path, tmp_path: Path) -> None:
    www = tmp_path / "www" / NAME
    keys = publisher.Keys(tmp_path / "keys", NAME)
    assert publisher.publish(source, www, keys, NAME) == 1
    manifest = fields(www)
    assert (manifest["N"], manifest["S"]) == (NAME, "1")
    catalogue = stored(www, manifest["C"], "C")
    assert len(catalogue) == int(manifest["B"])
    rows = query(catalogue, tmp_path, "SELECT name, flags, symlink, mode & 511, hash FROM catalog ORDER BY flags, name")
    assert [row[:4] for row in rows] == [
        ("", 1, "", (source.stat().st_mode & 0o777)),
        ("bin", 1, "", ((source / "bin").stat().st_mode & 0o777)),
        ("tool", 4, "", 0o755),
        ("latest", 12, "bin", 0o777),
    ]
    digest = rows[2][4]
    assert isinstance(digest, bytes)
    assert stored(www, digest.hex()) == (source / "bin/tool").read_bytes()
    counted = dict(query(catalogue, tmp_path, "SELECT counter, value FROM statistics WHERE value"))
    size = (source / "bin/tool").stat().st_size
    assert counted == {
        f"{scope}_{name}": value
        for scope in ("self", "subtree")
        for name, value in (("regular", 1), ("symlink", 1), ("dir", 1), ("file_size", size))
    }
    tags = query(stored(www, manifest["H"], "H"), tmp_path, "SELECT name, hash, revision, size FROM tags")
    assert tags == [("trunk", manifest["C"], 1, len(catalogue))]


def test_every_entry_is_found_by_its_parent(publisher: ModuleType, source: Path, tmp_path: Path) -> None:
    www = tmp_path / "www" / NAME
    publisher.publish(source, www, publisher.Keys(tmp_path / "keys", NAME), NAME)
    catalogue = stored(www, fields(www)["C"], "C")
    statement = """SELECT child.name, parent.name FROM catalog child JOIN catalog parent
      ON child.parent_1 = parent.md5path_1 AND child.parent_2 = parent.md5path_2 ORDER BY child.name"""
    assert query(catalogue, tmp_path, statement) == [("bin", ""), ("latest", ""), ("tool", "bin")]
    (root,) = query(catalogue, tmp_path, "SELECT md5path_1, md5path_2 FROM catalog WHERE parent_1 = 0 AND parent_2 = 0")
    assert root == publisher.hashed("")


@pytest.mark.parametrize(
    ("signed", "certificate", "options"),
    [
        (".cvmfspublished", "repository.crt", ["dgst", "-sha1", "-verify"]),
        (".cvmfswhitelist", None, ["pkeyutl", "-verify", "-pubin", "-inkey"]),
    ],
)
def test_signatures(publisher: ModuleType, source: Path, tmp_path: Path, signed: str, certificate: str | None, options: list[str]) -> None:
    www, folder = tmp_path / "www" / NAME, tmp_path / "keys"
    publisher.publish(source, www, publisher.Keys(folder, NAME), NAME)
    text, _, rest = (www / signed).read_bytes().partition(b"--\n")
    line, _, signature = rest.partition(b"\n")
    assert line.decode() == hashlib.sha1(text).hexdigest()
    public = folder / "master.pub"
    if certificate:
        public = tmp_path / "repository.pub"
        public.write_bytes(publisher.openssl("x509", "-in", str(folder / certificate), "-noout", "-pubkey"))
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "line").write_bytes(line)
    given = ["-signature", str(tmp_path / "signature"), str(tmp_path / "line")]
    if options[0] == "pkeyutl":
        given = ["-sigfile", str(tmp_path / "signature"), "-in", str(tmp_path / "line")]
    subprocess.run(["openssl", *options, str(public), *given], check=True, capture_output=True)


def test_the_whitelist_names_the_certificate(publisher: ModuleType, source: Path, tmp_path: Path) -> None:
    www = tmp_path / "www" / NAME
    keys = publisher.Keys(tmp_path / "keys", NAME)
    publisher.publish(source, www, keys, NAME)
    lines = (www / ".cvmfswhitelist").read_bytes().partition(b"--\n")[0].decode().splitlines()
    assert lines[2:] == [f"N{NAME}", keys.fingerprint()]


def test_a_changed_folder_is_a_new_revision_and_an_unchanged_one_is_not(publisher: ModuleType, source: Path, tmp_path: Path) -> None:
    www = tmp_path / "www" / NAME
    keys = publisher.Keys(tmp_path / "keys", NAME)
    assert [publisher.publish(source, www, keys, NAME) for _ in range(2)] == [1, 1]
    (source / "bin/tool").write_text("#!/bin/sh\necho new\n")
    assert publisher.publish(source, www, publisher.Keys(tmp_path / "keys", NAME), NAME) == 2
    tags = query(stored(www, fields(www)["H"], "H"), tmp_path, "SELECT revision FROM tags")
    assert tags == [(2,)]
