"""Steps at the data: a read through all cache levels, and one that the site cache serves alone."""

from __future__ import annotations

import json
import time
from typing import Any

import requests

from cantiere.verify.result import require
from cantiere.verify.session import Session

LARGE = "ttbar.root"
SMALL = "nano_dy.root"
RECOVERY_SECONDS = 60
LEAST_SIZE = 200_000_000
MIB = 1 << 20


def first_read(session: Session) -> str:
    """A notebook reads real CMS NanoAOD with its token, and every cache level fetches and keeps it.

    The file gets a name of its own in this run, so that no cache can have it yet.
    """
    target, path = session.target, f"{session.target.storage}/{session.mark}.root"
    _publish(session, path)
    before = {cache: _kept(session, cache) for cache in target.parts.caches}
    require(not any(before.values()), f"the caches have {before} bytes of a new file", "see `./cantiere logs` of the caches")
    wanted = _manifest(session)
    seen = session.kernel(session.member()).call(f"probe.read_all('{session.mark}.root')", 180, f"see `./cantiere logs {target.cache}`")
    require(seen["bytes"] == wanted["size"] >= LEAST_SIZE, f"read {seen['bytes']} of {wanted['size']} bytes", "make the sample data again")
    require(
        seen["sha256"] == wanted["sha256"], "what was read differs from the file at the origin", f"see `./cantiere logs {target.cache}`"
    )
    after = {cache: _kept(session, cache) for cache in target.parts.caches}
    for cache, size in after.items():
        require(size >= wanted["size"] * 0.95, f"{cache} keeps {size} of {wanted['size']} bytes", f"see `./cantiere logs {cache}`")
    session.kept["first read"] = seen["seconds"]
    kept = ", ".join(f"{cache} 0 → {size / MIB:.0f} MiB" for cache, size in after.items())
    return f"{seen['bytes'] / 1e6:.0f} MB in {seen['seconds']:.1f} s, SHA-256 as at the origin; kept: {kept}"


def second_read(session: Session) -> str:
    """The site cache serves the same file, by root and by https, with everything behind it stopped."""
    target, kernel = session.target, session.kernel(session.member())
    behind, wanted = [*target.parts.caches[1:], target.parts.origin], _manifest(session)
    token, keeper = kernel.call("facility.token()"), max(target.servers(target.cache), key=lambda server: _kept_by(session, server))
    with session.stopped(*behind):
        for container in behind:
            require(not _answers(session, container), f"{container} was stopped and still answers", f"see `./cantiere logs {container}`")
        seen = kernel.call(f"probe.read_all('{session.mark}.root')", 120, f"see `./cantiere logs {target.cache}`")
        answer = _first_bytes(session, f"{session.mark}.root", token, keeper)
    require(
        seen["sha256"] == wanted["sha256"], "what was read differs from the file at the origin", f"see `./cantiere logs {target.cache}`"
    )
    require(
        answer.content[:4] == b"root",
        f"https answers HTTP {answer.status_code}: {answer.text[:100]!r}",
        f"see `./cantiere logs {target.cache}`",
    )
    waited = _until_all_levels_answer(session, token)
    first = session.kept["first read"]
    return (
        f"with {' and '.join(behind)} stopped: {seen['bytes'] / 1e6:.0f} MB in {seen['seconds']:.1f} s (first read {first:.1f} s), "
        f"same SHA-256; https: HTTP {answer.status_code}; started again, they were asked for a new file after {waited:.0f} s"
    )


def _first_bytes(session: Session, name: str, token: str, server: str) -> requests.Response:
    """Ask a server of the site cache for the beginning of a file, by https."""
    target = session.target
    url = f"{target.https(target.cache, server)}/{name}"
    return requests.get(url, headers={"Authorization": f"Bearer {token}", "Range": "bytes=0-3"}, verify=str(target.ca), timeout=60)


def _until_all_levels_answer(session: Session, token: str) -> float:
    """Wait until a file that no cache has comes through all levels; a cache asks a level that was gone again only after some seconds."""
    name, server, began = f"{session.mark}-new.root", session.target.servers(session.target.cache)[0], time.monotonic()
    _publish(session, f"{session.target.storage}/{name}", SMALL)
    while (answer := _first_bytes(session, name, token, server)).status_code != requests.codes.partial_content:
        require(
            time.monotonic() - began < RECOVERY_SECONDS,
            f"{RECOVERY_SECONDS} s after the upper levels were started again a new file gives HTTP {answer.status_code}",
            f"see `./cantiere logs {session.target.cache}`",
        )
        time.sleep(1)
    return time.monotonic() - began


def _publish(session: Session, path: str, file: str = LARGE) -> None:
    """Give a sample file one more name at the origin, until the end of the run."""
    origin, caches = session.target.parts.origin, session.target.parts.caches

    def withdraw() -> None:
        session.shell(origin, f"rm -f {path}")
        for server in (server for cache in caches for server in session.target.servers(cache)):
            session.shell(server, f"rm -f {path} {path}.cinfo")

    session.cleanup.callback(withdraw)
    session.shell(origin, f"ln -s samples/{file} {path}")


def _kept(session: Session, cache: str) -> int:
    """Bytes of the run's file that a cache has on its disk; of its servers, that which has most."""
    return max(_kept_by(session, server) for server in session.target.servers(cache))


def _kept_by(session: Session, server: str) -> int:
    path = f"{session.target.storage}/{session.mark}.root"
    blocks = session.shell(server, f"if [ -e {path} ]; then stat -c %b {path}; else echo 0; fi")
    return int(blocks) * 512


def _manifest(session: Session) -> dict[str, Any]:
    text = session.shell(session.target.parts.origin, f"cat {session.target.storage}/samples/manifest.json")
    entries = {entry["name"]: entry for entry in json.loads(text)["files"]}
    found: dict[str, Any] = entries[LARGE]
    return found


def _answers(session: Session, container: str) -> bool:
    return session.target.control.exec(container, ("true",), 20).code == 0
