"""A kernel of a notebook server: code is sent over its websocket as JupyterLab sends it."""

from __future__ import annotations

import base64
import json
import ssl
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import websocket

from cantiere.verify.hub import HubUser
from cantiere.verify.result import StepFailed

IDLE_SECONDS = 20.0
"""A connection is used again within these. Its pings are answered only while code runs, and the server ends one that does not answer."""


@dataclass(slots=True)
class Reply:
    """What came back from running code.

    Parameters
    ----------
    text:
        Standard output and the text of displayed results.
    error:
        The traceback; empty where the code ended well.
    pictures:
        PNG pictures that were displayed.
    """

    text: str = ""
    error: str = ""
    pictures: list[bytes] = field(default_factory=list)


class Kernel:
    """A running Python kernel.

    Parameters
    ----------
    user:
        Whose notebook server it belongs to.
    notebook:
        Path of the notebook that it is started for; it runs in that notebook's folder.
    """

    def __init__(self, user: HubUser, notebook: str) -> None:
        self.user = user
        wanted = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}}
        answer = user.call("POST", "api/sessions", json=wanted)
        if answer.status_code != 201:
            raise StepFailed(f"the notebook server starts no kernel (HTTP {answer.status_code})", "see `./cantiere logs hub`")
        self._session = str(answer.json()["id"])
        self.id = str(answer.json()["kernel"]["id"])
        self._socket, self._used = self._connect(), time.monotonic()

    def execute(self, code: str, timeout: float = 60.0) -> Reply:
        """Run code, and wait until the kernel has answered.

        Parameters
        ----------
        code:
            Python source.
        timeout:
            Seconds; code that runs longer is interrupted.

        Raises
        ------
        StepFailed
            No answer in time, or the server ended the connection.
        """
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._socket.close()
            self._socket = self._connect()
        message, reply, deadline = uuid.uuid4().hex, Reply(), time.monotonic() + timeout
        self._socket.send(json.dumps(_execute_request(message, code)))
        replied = idle = False
        while not (replied and idle):
            kind, content = self._receive(message, deadline)
            if kind == "stream":
                reply.text += content["text"]
            elif kind in ("display_data", "execute_result"):
                _show(content["data"], reply)
            elif kind == "error":
                reply.error = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                idle = True
            elif kind == "execute_reply":
                replied = True
        self._used = time.monotonic()
        return reply

    def run(self, code: str, timeout: float = 60.0, remedy: str = "run the same code in a notebook") -> str:
        """Run code that must end well.

        Returns
        -------
        str
            What it printed.

        Raises
        ------
        StepFailed
            It raised; the last line of the traceback is the evidence.
        """
        reply = self.execute(code, timeout)
        if reply.error:
            raise StepFailed(f"in the notebook: {last_line(reply.error)}", remedy)
        return reply.text

    def call(self, expression: str, timeout: float = 60.0, remedy: str = "run the same code in a notebook") -> Any:
        """Evaluate an expression whose value JSON can hold."""
        marker = uuid.uuid4().hex
        text = self.run(f"import json\nprint('{marker}' + json.dumps({expression}))", timeout, remedy)
        # something else may be written after it: Spark's progress, by another thread
        return json.JSONDecoder().raw_decode(text.rpartition(marker)[2])[0]

    def close(self) -> None:
        """End the kernel."""
        self._socket.close()
        self.user.call("DELETE", f"api/sessions/{self._session}")

    def _connect(self) -> websocket.WebSocket:
        path = f"/user/{self.user.name}/api/kernels/{self.id}/channels"
        return websocket.create_connection(
            self.user.hub_url.replace("http", "ws", 1) + path,
            header=[f"{key}: {value}" for key, value in self.user.xsrf(f"/user/{self.user.name}/").items()],
            cookie=self.user.cookies(path),
            timeout=30,
            sslopt={"ca_certs": str(self.user.ca), "cert_reqs": ssl.CERT_REQUIRED},
            http_no_proxy=["*"],
        )

    def _receive(self, message: str, deadline: float) -> tuple[str, dict[str, Any]]:
        """Type and content of the next message that answers ``message``."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.user.call("POST", f"api/kernels/{self.id}/interrupt")
                raise StepFailed(
                    "the notebook's kernel gives no answer in time", "run the same code in a notebook; see `./cantiere logs hub`"
                )
            self._socket.settimeout(left)
            try:
                text = self._socket.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if not text:
                raise StepFailed("the notebook server ended the connection to its kernel", "see `./cantiere logs hub`")
            received = json.loads(text)
            if received.get("parent_header", {}).get("msg_id") == message:
                return received["msg_type"], received["content"]


def last_line(traceback: str) -> str:
    """The line of a traceback that says what happened, without colours."""
    plain = "".join(part.partition("m")[2] if index else part for index, part in enumerate(traceback.split("\x1b[")))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return lines[-1][:600] if lines else ""


def _execute_request(message: str, code: str) -> dict[str, Any]:
    return {
        "header": {"msg_id": message, "msg_type": "execute_request", "username": "", "session": message, "version": "5.3", "date": ""},
        "parent_header": {},
        "metadata": {},
        "content": {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
        "channel": "shell",
        "buffers": [],
    }


def _show(data: dict[str, Any], reply: Reply) -> None:
    if "image/png" in data:
        reply.pictures.append(base64.b64decode(data["image/png"]))
    elif "text/plain" in data:
        reply.text += f"{data['text/plain']}\n"
