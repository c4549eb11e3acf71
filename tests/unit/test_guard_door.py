"""The guard's socket in front of an engine's."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from unit.samples_guard import CREATE, POLICY, Engine, Guard, notebook

CONTAINERS = {
    "alice": {
        "Id": "a" * 64,
        "Name": "/here-jupyter-alice",
        "Config": {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "alice"}},
    },
    "iam": {"Id": "b" * 64, "Name": "/here-iam", "Config": {"Labels": {"cantiere.facility": "here"}}},
}


class FakeEngine(BaseHTTPRequestHandler):
    """An engine that knows two containers and remembers what it was asked."""

    asked: list[tuple[str, str, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, body))
        words = self.path.split("/")
        found = next((c for key, c in CONTAINERS.items() if words[2:3] and words[2] in (key, c["Id"])), None)
        text = json.dumps(found or {"asked": self.path}).encode()
        self.send_response(404 if words[1] == "containers" and len(words) == 4 and found is None else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = answer

    def address_string(self) -> str:
        return "guard"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Path, list[tuple[str, str, bytes]]]]:
    """A guard in front of the fake engine: its socket, and what reached the engine."""
    umask = os.umask(0)
    os.umask(umask)
    engine, listen = tmp_path / "engine.sock", tmp_path / "guard.sock"
    asked: list[tuple[str, str, bytes]] = []
    handler = type("Handler", (FakeEngine,), {"asked": asked})
    servers = [UnixStreamServer(str(engine), handler), Guard(str(listen), str(engine), POLICY)]
    os.umask(umask)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield listen, asked
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(listen: Path, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    engine = Engine(str(listen), timeout=5)
    with suppress(BrokenPipeError):  # it may refuse before it has heard all of it, and its answer is there all the same
        engine.request(method, path, body, headers or {})
    answer = engine.getresponse()
    text = answer.read()
    engine.close()
    return answer.status, json.loads(text)


def test_only_the_group_may_use_the_door(door: tuple[Path, Any]) -> None:
    assert door[0].stat().st_mode & 0o777 == 0o660


def test_a_notebook_is_reached_by_its_identifier(door: tuple[Path, list[tuple[str, str, bytes]]]) -> None:
    listen, asked = door
    assert ask(listen, "POST", "/containers/alice/stop?t=5")[0] == 200
    assert [line[:2] for line in asked] == [("GET", "/containers/alice/json"), ("POST", f"/containers/{'a' * 64}/stop?t=5")]


def test_another_container_is_looked_at_by_the_guard_alone(door: tuple[Path, list[tuple[str, str, bytes]]]) -> None:
    listen, asked = door
    status, content = ask(listen, "GET", "/containers/iam/json")
    assert (status, content) == (403, {"message": "guard: iam is not a notebook of this facility"})
    assert len(asked) == 1
    assert ask(listen, "GET", "/containers/nobody/json")[0] == 404


def test_a_body_is_written_anew(door: tuple[Path, list[tuple[str, str, bytes]]]) -> None:
    listen, asked = door
    text = json.dumps(notebook())
    assert ask(listen, "POST", CREATE, f'{{"HostConfig": {{"Privileged": true}}, {text[1:]}')[0] == 200
    assert b"Privileged" not in asked[-1][2]
    assert ask(listen, "POST", CREATE, f'{text[:-1]}, "HostConfig": {{"Privileged": true}}}}')[0] == 403


def test_what_is_no_plain_request_is_refused(door: tuple[Path, list[tuple[str, str, bytes]]]) -> None:
    listen, asked = door
    assert ask(listen, "POST", CREATE, "0\r\n\r\n", {"Transfer-Encoding": "chunked"})[0] == 403
    assert ask(listen, "POST", CREATE, "{", {})[0] == 403
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(listen))
        raw.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 403 " in raw.recv(4096).splitlines()[0]
    assert asked == []


def test_an_engine_that_is_gone_is_told(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    guard = Guard(str(tmp_path / "guard.sock"), str(tmp_path / "none.sock"), POLICY)
    os.umask(umask)
    threading.Thread(target=guard.serve_forever, args=(0.01,), daemon=True).start()
    try:
        assert ask(tmp_path / "guard.sock", "GET", "/version")[0] == 502
    finally:
        guard.shutdown()
        guard.server_close()


def test_a_client_that_goes_away_leaves_the_door_open(door: tuple[Path, Any]) -> None:
    engine = Engine(str(door[0]), timeout=5)
    engine.request("GET", "/version")
    engine.close()
    assert ask(door[0], "GET", "/version")[0] == 200
