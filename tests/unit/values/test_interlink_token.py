"""The program that keeps the token of a virtual node fresh, against a token endpoint of this test."""

from __future__ import annotations

import base64
import importlib.util
import json
import threading
import urllib.error
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.tree import REPOSITORY


@pytest.fixture
def refresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("SECRETS_FOLDER", str(tmp_path / "secrets"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "client-secret").write_text("s:e/c\n")
    spec = importlib.util.spec_from_file_location("refresh", REPOSITORY / "images/interlink-token/refresh.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """What the endpoint is asked; it answers with tokens that count, and refuses the client ``nobody``."""
    seen: list[tuple[str, dict[str, str]]] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fields = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            pair = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            seen.append((pair, fields))
            answer: dict[str, Any] = {"access_token": f"token-{len(seen)}", "expires_in": 1000}
            if fields["grant_type"] == "refresh_token":
                answer["refresh_token"] = f"refresh-{len(seen)}"
            self.send_response(401 if pair.startswith("nobody:") else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("IAM_TOKEN_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
    monkeypatch.setenv("IAM_CLIENT_ID", "facility")
    monkeypatch.setenv("IAM_VK_AUD", "edge")
    yield seen
    server.shutdown()
    server.server_close()


def test_a_client_gets_tokens_of_its_own(refresh: ModuleType, asked: list[Any], tmp_path: Path) -> None:
    target = tmp_path / "token"
    assert refresh.turn(target) == 600.0
    assert target.read_text() == "token-1"
    assert target.stat().st_mode & 0o007 == 0, "others cannot read it"
    (found,) = asked
    assert found == ("facility:s%3Ae%2Fc", {"audience": "edge", "grant_type": "client_credentials"})
    assert not (tmp_path / "token-refresh").exists()


def test_a_refresh_token_is_replaced_by_what_comes_back(refresh: ModuleType, asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "secrets" / "refresh-token").write_text("first\n")
    target = tmp_path / "token"
    for _ in range(2):
        refresh.turn(target)
    assert [fields["refresh_token"] for _, fields in asked] == ["first", "refresh-1"]
    assert target.read_text() == "token-2"


def test_a_refusal_keeps_the_token_that_is_there(
    refresh: ModuleType, asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "token"
    refresh.turn(target)
    monkeypatch.setenv("IAM_CLIENT_ID", "nobody")
    with pytest.raises(urllib.error.HTTPError):
        refresh.turn(target)
    assert target.read_text() == "token-1"


def test_nothing_secret_is_shown(
    refresh: ModuleType, asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stop(Exception):
        pass

    def sleep(_: float) -> None:
        if len(asked) > 1:
            raise Stop
        monkeypatch.setenv("IAM_CLIENT_ID", "nobody")

    monkeypatch.setenv("TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(refresh.time, "sleep", sleep)
    with pytest.raises(Stop):
        refresh.main()
    shown = "".join(capsys.readouterr())
    assert "the next one in 600 s" in shown and "answers 401" in shown
    for secret in ("s:e/c", "s%3Ae", "token-1"):
        assert secret not in shown
