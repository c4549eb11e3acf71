"""Listen on a socket of its own, pass on what the policy allows, and tell what it does not."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import quote

from cantiere_guard.policy import Decision, Policy, decide, is_notebook, refuse

LARGEST_BODY = 1 << 20
ENGINE_TIMEOUT = 600.0
CLIENT_TIMEOUT = 900.0
BLOCK = 1 << 16
LOOKS, LOOK_PAUSE = 10, 0.2


class Engine(http.client.HTTPConnection):
    """A connection to an engine's socket."""

    def __init__(self, path: str, timeout: float = ENGINE_TIMEOUT) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Door(BaseHTTPRequestHandler):
    """One client of the guard."""

    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT
    server: Guard

    def handle_call(self) -> None:
        """Decide on one call, and do it."""
        body = self._body()
        if isinstance(body, Decision):
            self.close_connection = True
            self._refused(body.refusal)
            return
        decision = decide(self.command, self.path, body, self.server.policy)
        if decision.refusal:
            self._refused(decision.refusal)
            return
        self._pass_on(decision)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = do_OPTIONS = handle_call

    def address_string(self) -> str:
        """Name of the client in the log."""
        return "hub"

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Tell only of what was refused: :meth:`_refused` does."""

    def _body(self) -> Any:
        """The JSON body, None where there is none, or the reason why it is not read."""
        if self.headers.get("Transfer-Encoding") or self.headers.get("Upgrade"):
            return refuse("bodies come in one piece, and nothing is upgraded")
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return refuse("the body is too long")
        text = self.rfile.read(int(length))
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return refuse("the body is not JSON")

    def _pass_on(self, decision: Decision) -> None:
        engine, path = Engine(self.server.engine), decision.path
        try:
            if decision.container:
                status, found = self.server.look_at(decision.container)
                if status != 200:
                    self._answer(status, {"message": f"guard: the engine cannot show container {decision.container}"})
                    return
                if not is_notebook(found, self.server.policy):
                    self._refused(f"{decision.container} is not a notebook of this facility")
                    return
                path = path.replace("{container}", str(found["Id"]))
            # written anew from what was checked: a key that comes twice, or in another spelling, does not pass
            engine.request(self.command, path, _text(decision.body), {"Content-Type": "application/json"})
            answer = engine.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            engine.close()
            self._answer(502, {"message": f"guard: the engine does not answer: {error}"})
            return
        try:
            self._relay(answer)
        except (OSError, http.client.HTTPException) as error:
            # the client went away, or the engine did in the middle of its answer, which the client sees as cut off
            print(f"cut off {self.command} {self.path.partition('?')[0]!r}: {error}", file=sys.stderr, flush=True)
            self.close_connection = True
        finally:
            engine.close()

    def _relay(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name in ("Content-Type", "Api-Version", "Libpod-Api-Version", "Docker-Experimental", "Ostype"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        if self.command == "HEAD" or answer.status in (204, 304):
            self.end_headers()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while block := answer.read1(BLOCK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")

    def _refused(self, why: str) -> None:
        print(f"refused {self.command} {self.path.partition('?')[0]!r}: {why}", file=sys.stderr, flush=True)
        self._answer(403, {"message": f"guard: {why}"})

    def _answer(self, status: int, content: dict[str, str]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


class Guard(ThreadingMixIn, UnixStreamServer):
    """The guard's socket.

    Parameters
    ----------
    listen:
        Path of its socket; whoever is in the process's group may use it.
    engine:
        Path of the engine's socket.
    policy:
        What passes.
    """

    daemon_threads = True

    def __init__(self, listen: str, engine: str, policy: Policy) -> None:
        self.engine, self.policy = engine, policy
        Path(listen).unlink(missing_ok=True)
        os.umask(0o117)
        super().__init__(listen, Door)

    def look_at(self, container: str) -> tuple[int, Any]:
        """What the engine says of a container; asked again while it cannot say, as of one that it is just removing."""
        for _ in range(LOOKS):
            engine = Engine(self.engine)
            try:
                engine.request("GET", f"/containers/{quote(container, safe='')}/json")
                answer = engine.getresponse()
                status, text = answer.status, answer.read()
            finally:
                engine.close()
            if status < 500:
                break
            time.sleep(LOOK_PAUSE)
        return status, json.loads(text) if status == 200 else None


def _text(body: Any) -> str | None:
    return None if body is None else json.dumps(body)


def ready(listen: str) -> None:
    """End well if the engine answers through the guard, and badly if it does not."""
    engine = Engine(listen, timeout=5)
    engine.request("GET", "/version")
    answer = engine.getresponse()
    answer.read()
    engine.close()
    if answer.status != 200:
        raise SystemExit(f"the engine answers {answer.status}")


def main() -> None:
    """``serve`` or ``ready``, with the container's settings."""
    settings = json.loads(os.environ["CANTIERE_SETTINGS"])
    if sys.argv[1:] == ["ready"]:
        try:
            ready(settings["listen"])
        except OSError as error:
            raise SystemExit(f"the guard does not answer: {error}") from error
        return
    allowed = {**settings["notebooks"], "images": tuple(settings["notebooks"]["images"])}
    guard = Guard(settings["listen"], settings["engine"], Policy(**allowed))
    print(f"guarding {settings['engine']} at {settings['listen']}", file=sys.stderr, flush=True)
    guard.serve_forever()
