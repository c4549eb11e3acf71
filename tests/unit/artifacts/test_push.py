"""What a registry has is found out with its password, and images go there without it on a command line."""

from __future__ import annotations

import base64
import ssl
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cantiere import artifacts, pki
from cantiere.cluster import images
from cantiere.engine import Engine
from cantiere.errors import CantiereError
from cantiere.registry import password_line
from cantiere.supply import push
from cantiere.supply.push import Registry

USER, PASSWORD = "cantiere", "a password"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Door(BaseHTTPRequestHandler):
    """A registry that holds one image, behind a password; under ``token/`` behind a token that the password gives."""

    def do_HEAD(self) -> None:
        given = self.headers.get("Authorization", "")
        if "/token/" in self.path and given != "Bearer sesame":
            return self.answer(401, f'Bearer realm="https://{self.headers["Host"]}/auth",service="here"')
        if "/token/" not in self.path and given != BASIC:
            return self.answer(401, 'Basic realm="here"')
        return self.answer(200 if self.path.endswith("/htcondor/manifests/1") else 404)

    def do_GET(self) -> None:
        right = self.headers.get("Authorization") == BASIC and "scope=repository%3Atoken%2F" in self.path
        self.answer(200 if right else 403, body=b'{"token": "sesame"}' if right else b"{}")

    def answer(self, status: int, challenge: str = "", body: bytes = b"") -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        assert format


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    ca, ca_key = pki.authority("test")
    (folder / "ca.pem").write_text(ca, encoding="utf-8")
    (folder / "host.pem").write_text("".join(pki.certificate(ca, ca_key, "localhost", ["127.0.0.1"])), encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "host.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Registry(f"127.0.0.1:{server.server_port}/cantiere", USER, PASSWORD, folder / "ca.pem")
    server.shutdown()
    server.server_close()


def test_what_is_missing(registry: Registry) -> None:
    assert push.missing({"htcondor": "1", "xrootd": "1"}, registry) == ("xrootd",)


def test_what_is_missing_behind_tokens(registry: Registry) -> None:
    prefix = registry.prefix.replace("/cantiere", "/token")
    assert push.missing({"htcondor": "1", "xrootd": "1"}, Registry(prefix, USER, PASSWORD, registry.ca)) == ("xrootd",)


@pytest.mark.parametrize("path", ["cantiere", "token"])
def test_wrong_password(registry: Registry, path: str) -> None:
    wrong = Registry(registry.prefix.replace("cantiere", path), USER, "another", registry.ca)
    with pytest.raises(CantiereError, match="answers 401"):
        push.missing({"htcondor": "1"}, wrong)


def test_another_authority(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pki.authority("another")[0], encoding="utf-8")
    with pytest.raises(CantiereError, match="not trusted") as refused:
        push.missing({"htcondor": "1"}, Registry(registry.prefix, USER, PASSWORD, tmp_path / "ca.pem"))
    (problem,) = refused.value.problems
    assert problem.code == "registry.untrusted" and "registry.ca" in problem.remedy
    with pytest.raises(CantiereError, match="No such file"):
        push.missing({"htcondor": "1"}, Registry(registry.prefix, USER, PASSWORD, tmp_path / "none.pem"))


def test_a_registry_that_cannot_be_asked_is_told_as_such(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pki.authority("another")[0], encoding="utf-8")
    for known, code in (
        (Registry("127.0.0.1:1/cantiere"), "registry.silent"),
        (Registry(registry.prefix, USER, PASSWORD, tmp_path / "ca.pem"), "registry.untrusted"),
        (Registry(registry.prefix, USER, "another", registry.ca), "registry.refused"),
    ):
        names, problem = images.pushed(known)
        assert not names and problem is not None and problem.code == code
    assert images.pushed(registry) == (frozenset(), None), "it answers, and has none of ours"


def test_the_door_is_asked(registry: Registry) -> None:
    other = Registry("127.0.0.1:1/cantiere", USER, PASSWORD, registry.ca, registry.prefix)
    assert push.missing({"htcondor": "1"}, other) == ()


def test_push_hides_the_password(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "podman"
    engine.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "$SEEN/arguments"\nwhile [ "$1" != --authfile ]; do shift; done\n'
        'cp -p "$2" "$SEEN/accounts"\ncp "$(dirname "$2")/certificates/ca.crt" "$SEEN/ca"\n',
        encoding="utf-8",
    )
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    push.push(["htcondor"], registry, Engine("podman", {"SEEN": str(tmp_path)}), print)
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    source = artifacts.catalogue()["htcondor"].reference
    assert source in arguments
    assert f"docker://{registry.prefix}/htcondor:{source.rpartition(':')[2]}" in arguments
    assert PASSWORD not in arguments and BASIC.split()[1] not in arguments
    assert BASIC.split()[1] in (tmp_path / "accounts").read_text(encoding="utf-8")
    assert registry.ca is not None and (tmp_path / "ca").read_bytes() == registry.ca.read_bytes()
    assert PASSWORD not in repr(registry)


def test_a_refused_push_says_why(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "podman"
    engine.write_text("#!/bin/sh\necho Error: unauthorized\nexit 125\n", encoding="utf-8")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CantiereError, match=r"could not be sent to .* unauthorized"):
        push.push(["htcondor"], registry, Engine("podman"), lambda line: None)


def test_password_line() -> None:
    line = password_line(USER, PASSWORD)
    assert line == password_line(USER, PASSWORD), "the same every time, or the file would change in each run"
    assert line.startswith(f"{USER}:$2b$10$") and len(line) == len(USER) + 62
    assert line != password_line(USER, "another")
    assert PASSWORD not in line
