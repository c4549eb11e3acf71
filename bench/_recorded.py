"""A stand-in for a cloud's services: their own answers, each asked for once, with one machine's objects in the place of many."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LISTINGS = {"/servers/detail": "servers", "/ports": "ports", "/volumes/detail": "volumes"}
PAGE = 500
"""Objects in one answer; the services' own limit is 1,000."""
KEPT = ("Content-Type", "X-Subject-Token")
MODEL = "worker-1"


class Recorded:
    """Passes requests on, keeps what is answered, and multiplies the objects of the machine ``worker-1``.

    Parameters
    ----------
    host:
        Address of the services; their ports become the first part of the paths here.
    number:
        How many machines there are to be.
    """

    def __init__(self, host: str, number: int) -> None:
        self.host, self.number, self.here = host, number, ""
        self.kept: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {}
        self.many: dict[str, list[Any]] = {}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the service answers, or has answered."""
        where, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        kind = next((kind for end, kind in LISTINGS.items() if where.endswith(end) and "device_id" not in query), "")
        marker = query.get("marker", [""])[0]
        first = re.sub(r"&?(marker|limit)=[^&]*", "", path).rstrip("?")
        if (method, first) not in self.kept:
            self.kept[method, first] = self._ask(method, first, headers, body)
        status, told, text = self.kept[method, first]
        if not kind:
            return status, told, text
        if first not in self.many:
            self.many[first] = self._multiplied(json.loads(text)[kind])
        items = self.many[first]
        begin = next((number for number, item in enumerate(items, 1) if item["id"] == marker), 0)
        page = items[begin : begin + PAGE]
        found: dict[str, Any] = {kind: page}
        if begin + PAGE < len(items):
            more = f"{self.here}{first}{'&' if '?' in first else '?'}marker={page[-1]['id']}"
            found[f"{kind}_links"] = [{"rel": "next", "href": more}]
        return status, told, json.dumps(found).encode()

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        port, _, rest = path.removeprefix("/").partition("/")
        if not port.isdigit():  # where the SDK looks for versions above a service's own path
            return 404, {}, b""
        request = urllib.request.Request(f"http://{self.host}:{port}/{rest}", body or None, headers, method=method)
        try:
            with urllib.request.urlopen(request) as found:
                status, told, text = found.status, found.headers, found.read()
        except urllib.error.HTTPError as error:
            status, told, text = error.code, error.headers, error.read()
        moved = re.sub(rf"http://{re.escape(self.host)}:(\d+)", rf"{self.here}/\1", text.decode())
        return status, {name: told[name] for name in KEPT if told[name]}, moved.encode()

    def _multiplied(self, items: list[Any]) -> list[Any]:
        others = [item for item in items if not re.search(r"worker-\d+$", str(item["name"]))]
        [model] = [item for item in items if re.search(rf"-{MODEL}(-data)?$", str(item["name"]))]
        text = json.dumps(model)
        found = []
        for number in range(1, self.number + 1):
            made = json.loads(re.sub(rf"\b{MODEL}\b", f"worker-{number}", text))
            made["id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{model['id']} {number}"))
            for fixed in made.get("fixed_ips", ()):
                fixed["ip_address"] = f"10.40.{number // 250}.{20 + number % 250 if number < 230 else number % 250}"
            found.append(made)
        return [*others, *found]


@contextmanager
def recorded(host: str, number: int) -> Iterator[str]:
    """The stand-in, as the address that its paths begin with.

    Parameters
    ----------
    host, number:
        See :class:`Recorded`.
    """
    cloud = Recorded(host, number)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            passed = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection", "Accept-Encoding")}
            status, headers, text = cloud.answer(self.command, self.path, passed, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.here = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cloud.here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
