#!/usr/bin/python3
"""Publish a folder as a CernVM-FS repository: content-addressed objects, one root catalogue, signed manifest and whitelist.

Enough for software of a facility's own: no nested catalogues, no chunked files, no garbage collection. Keys are made at the
first run. A run with an unchanged folder signs again (manifest and whitelist expire) and keeps the revision.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import stat
import struct
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MANIFEST = ".cvmfspublished"
WHITELIST = ".cvmfswhitelist"
WHITELIST_SECONDS = 30 * 86400
CATALOG_TTL = 240
EMPTY_MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()
DIRECTORY, FILE, SYMLINK = 1, 4, 8
CATALOG_SCHEMA = """
CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE catalog (md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER, parent_2 INTEGER, hardlinks INTEGER, hash BLOB,
  size INTEGER, mode INTEGER, mtime INTEGER, flags INTEGER, name TEXT, symlink TEXT, uid INTEGER, gid INTEGER, xattr BLOB,
  PRIMARY KEY (md5path_1, md5path_2));
CREATE INDEX idx_catalog_parent ON catalog (parent_1, parent_2);
CREATE TABLE chunks (md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER, size INTEGER, hash BLOB,
  PRIMARY KEY (md5path_1, md5path_2, offset, size));
CREATE TABLE nested_catalogs (path TEXT PRIMARY KEY, sha1 TEXT, size INTEGER);
CREATE TABLE bind_mountpoints (path TEXT PRIMARY KEY, sha1 TEXT, size INTEGER);
CREATE TABLE statistics (counter TEXT PRIMARY KEY, value INTEGER);
"""
HISTORY_SCHEMA = """
CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE tags (name TEXT PRIMARY KEY, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER, description TEXT,
  size INTEGER, branch TEXT DEFAULT '');
"""
COUNTED = {DIRECTORY: "dir", FILE: "regular", FILE | SYMLINK: "symlink"}
COUNTERS = tuple("regular symlink dir nested chunked chunked_size chunks file_size xattr external external_file_size special".split())


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or symbolic link of the repository."""

    path: str
    flags: int
    size: int
    mode: int
    mtime: int
    digest: bytes | None
    link: str


class Store:
    """Objects of a repository, found by the SHA-1 of their compressed content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes, suffix: str = "") -> str:
        """Keep an object of the kind that ``suffix`` names (C catalogue, H history, X certificate) and return its hash."""
        packed = zlib.compress(content)
        digest = hashlib.sha1(packed, usedforsecurity=False).hexdigest()
        path = self.folder / "data" / digest[:2] / (digest[2:] + suffix)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, packed)
        return digest


class Keys:
    """The master key, which signs the whitelist, and the repository's own certificate, which signs the manifest."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.folder = folder
        self.master, self.key, self.certificate = folder / "master.key", folder / "repository.key", folder / "repository.crt"
        if not self.certificate.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            openssl("genrsa", "-out", str(self.master), "2048")
            openssl("rsa", "-in", str(self.master), "-pubout", "-out", str(folder / "master.pub"))
            new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", f"/CN={repository}"]
            openssl(*new, "-keyout", str(self.key), "-out", f"{self.certificate}.new")
            Path(f"{self.certificate}.new").replace(self.certificate)

    def fingerprint(self) -> str:
        """SHA-1 fingerprint of the certificate, as the whitelist lists it."""
        return openssl("x509", "-in", str(self.certificate), "-noout", "-fingerprint", "-sha1").decode().split("=")[1].strip()

    def sign_manifest(self, text: bytes) -> bytes:
        """RSA signature of a manifest's checksum line (PKCS #1 v1.5, SHA-1)."""
        return openssl("dgst", "-sha1", "-sign", str(self.key), content=text)

    def sign_whitelist(self, text: bytes) -> bytes:
        """RSA signature of a whitelist's checksum line (PKCS #1 v1.5, no digest)."""
        return openssl("pkeyutl", "-sign", "-inkey", str(self.master), content=text)


def openssl(*arguments: str, content: bytes | None = None) -> bytes:
    """Standard output of an ``openssl`` command."""
    return subprocess.run(("openssl", *arguments), check=True, capture_output=True, input=content).stdout


def write(path: Path, content: bytes) -> None:
    """Write a file that readers see whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)


def hashed(path: str) -> tuple[int, int]:
    """The two integers by which a catalogue knows a path: the halves of its MD5."""
    first, second = struct.unpack("<qq", hashlib.md5(path.encode(), usedforsecurity=False).digest())
    return first, second


def entries(source: Path, store: Store, path: str = "") -> Iterator[Entry]:
    """Every entry of a folder, the folder itself first (as ``""``); files' contents go to the store."""
    full = source / path.lstrip("/")
    status = full.lstat()
    mtime = int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        yield Entry(path, FILE | SYMLINK, status.st_size, status.st_mode, mtime, None, str(full.readlink()))
    elif stat.S_ISDIR(status.st_mode):
        yield Entry(path, DIRECTORY, 4096, status.st_mode, mtime, None, "")
        for child in sorted(full.iterdir()):
            yield from entries(source, store, f"{path}/{child.name}")
    else:
        yield Entry(path, FILE, status.st_size, status.st_mode, mtime, bytes.fromhex(store.put(full.read_bytes())), "")


def database(schema: str, tables: dict[str, Sequence[tuple[object, ...]]]) -> bytes:
    """Content of an SQLite file with these rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "database")
        connection = sqlite3.connect(path)
        connection.executescript(schema)
        for table, rows in tables.items():
            if rows:
                connection.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        connection.commit()
        connection.close()
        return path.read_bytes()


def catalog(found: Sequence[Entry], revision: int, now: int) -> bytes:
    """The root catalogue."""
    rows = []
    for entry in found:
        parent = (0, 0) if not entry.path else hashed(entry.path.rpartition("/")[0])
        name = entry.path.rpartition("/")[2]
        rows.append(
            (*hashed(entry.path), *parent, 1, entry.digest, entry.size, entry.mode, entry.mtime, entry.flags, name, entry.link, 0, 0, None)
        )
    counts = dict.fromkeys(COUNTERS, 0)
    for entry in found[1:]:
        counts[COUNTED[entry.flags]] += 1
    counts["file_size"] = sum(entry.size for entry in found if entry.flags == FILE)
    properties = {"schema": "2.5", "schema_revision": "6", "revision": str(revision), "last_modified": str(now), "TTL": str(CATALOG_TTL)}
    statistics = [(f"{scope}_{name}", value) for scope in ("self", "subtree") for name, value in counts.items()]
    return database(CATALOG_SCHEMA, {"properties": list(properties.items()), "catalog": rows, "statistics": statistics})


def signed(text: str, signature_of_checksum: bytes) -> bytes:
    """A signed file: the text, its checksum, the signature."""
    return f"{text}--\n{checksum(text)}\n".encode() + signature_of_checksum


def checksum(text: str) -> str:
    """The line that is signed."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def published(folder: Path) -> dict[str, str]:
    """Fields of the manifest that stands in a folder, by their letter; empty where there is none."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    text = path.read_bytes().partition(b"--\n")[0].decode()
    return {line[0]: line[1:] for line in text.splitlines()}


def publish(source: Path, folder: Path, keys: Keys, repository: str) -> int:
    """Publish a folder and return the revision that now stands.

    Parameters
    ----------
    source:
        What the repository shall hold.
    folder:
        Where its web server looks.
    keys:
        Who signs.
    repository:
        Its fully qualified name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    now, store, before = int(time.time()), Store(folder), published(folder)
    found = list(entries(source, store))
    content = hashlib.sha256(repr([replace(entry, mtime=0) for entry in found]).encode()).hexdigest()
    marker = keys.folder / "published-content"
    unchanged = bool(before) and marker.exists() and marker.read_text() == content
    revision = int(before.get("S", "0")) + (0 if unchanged else 1)
    if unchanged:
        fields = before
    else:
        packed = catalog(found, revision, now)
        root = store.put(packed, "C")
        tag = ("trunk", root, revision, now, 0, "", len(packed), "")
        properties = [("schema", "1.0"), ("schema_revision", "4"), ("fqrn", repository)]
        history = store.put(database(HISTORY_SCHEMA, {"properties": properties, "tags": [tag]}), "H")
        certificate = store.put(keys.certificate.read_bytes(), "X")
        fields = {"C": root, "B": str(len(packed)), "R": EMPTY_MD5, "D": str(CATALOG_TTL), "S": str(revision), "G": "no", "A": "no"}
        fields |= {"N": repository, "X": certificate, "H": history, "T": str(now)}
    day = "%Y%m%d%H%M%S"
    created, expires = (time.strftime(day, time.gmtime(moment)) for moment in (now, now + WHITELIST_SECONDS))
    whitelist = f"{created}\nE{expires}\nN{repository}\n{keys.fingerprint()}\n"
    write(folder / WHITELIST, signed(whitelist, keys.sign_whitelist(checksum(whitelist).encode())))
    manifest = "".join(f"{letter}{value}\n" for letter, value in fields.items())
    write(folder / MANIFEST, signed(manifest, keys.sign_manifest(checksum(manifest).encode())))
    # a client asks for these two when it mounts, and repeats a request that finds nothing
    for name in (".cvmfs_last_snapshot", ".cvmfs_is_snapshotting"):
        write(folder / name, time.strftime("%a %e %b %H:%M:%S UTC %Y\n", time.gmtime(now)).encode())
    marker.write_text(content)
    return revision


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keys", type=Path, required=True, help="folder of the keys, made where it is missing")
    parser.add_argument("source", type=Path, help="folder to publish")
    parser.add_argument("target", type=Path, help="folder below which the web server finds <repository>")
    parser.add_argument("repository", help="fully qualified repository name")
    arguments = parser.parse_args()
    keys = Keys(arguments.keys, arguments.repository)
    revision = publish(arguments.source, arguments.target / arguments.repository, keys, arguments.repository)
    print(f"{arguments.repository}: revision {revision}")


if __name__ == "__main__":
    main()
