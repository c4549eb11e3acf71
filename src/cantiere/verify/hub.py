"""A user at the hub, as a browser is: log-in, spawn page, files of the notebook server."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from cantiere.verify.forms import Form, find_form
from cantiere.verify.result import StepFailed

REQUEST_TIMEOUT = 30.0
FORM_TIMEOUT = 90.0
SPAWN_TIMEOUT = 300.0
"""How long a notebook may take: the first one on a machine waits for its image."""
STOP_TIMEOUT = 90.0
HUB_REMEDY = "see `./cantiere logs hub` and `./cantiere logs iam`"


class HubUser:
    """One user's session at the hub.

    Parameters
    ----------
    hub_url:
        Where the hub is.
    name, password:
        The user.
    ca:
        File with the certificate of the facility's CA.
    """

    def __init__(self, hub_url: str, name: str, password: str, ca: Path) -> None:
        self.hub_url = hub_url
        self.name = name
        self._password = password
        self.ca = ca
        self.web = requests.Session()
        self.web.verify = str(ca)
        self.web.trust_env = False
        # a connection that the hub's proxy has ended in the meantime looks open where the way leads through an API server
        self.web.headers["Connection"] = "close"

    @property
    def server_url(self) -> str:
        """URL of the user's notebook server."""
        return f"{self.hub_url}/user/{quote(self.name)}"

    def log_in(self) -> requests.Response:
        """Log in by the authorization code flow, through the IAM's own page.

        Returns
        -------
        requests.Response
            The hub's answer at the end of the flow; its ``history`` tells the way.

        Raises
        ------
        StepFailed
            The IAM shows no log-in page, or does not accept the password.
        """
        page = self.web.get(f"{self.hub_url}/hub/oauth_login", timeout=REQUEST_TIMEOUT)
        form = find_form(page.text, page.url, "password")
        if form is None:
            raise StepFailed(f"no log-in form at {_without_query(page.url)} (HTTP {page.status_code})", HUB_REMEDY)
        answer = self._send(form, username=self.name, password=self._password)
        if find_form(answer.text, answer.url, "password") is not None:
            raise StepFailed(
                f"the IAM does not accept the password of {self.name}", "see `./cantiere secrets show` for the demo users' passwords"
            )
        return answer

    def spawn_form(self) -> Form:
        """The hub's spawn page.

        Raises
        ------
        StepFailed
            It shows no form.
        """
        page = self.web.get(f"{self.hub_url}/hub/spawn/{quote(self.name)}", timeout=REQUEST_TIMEOUT)
        form = find_form(page.text, page.url, "image")
        if form is None:
            raise StepFailed(f"no spawn form at {_without_query(page.url)} (HTTP {page.status_code})", HUB_REMEDY)
        return form

    def spawn(self, **options: str) -> requests.Response:
        """Send the spawn page with these options in place of its preselected ones."""
        return self._send(self.spawn_form(), **options)

    def wait_for_server(self) -> float:
        """Wait until the notebook server answers.

        Returns
        -------
        float
            Seconds that it took.

        Raises
        ------
        StepFailed
            It does not answer in time.
        """
        begin = time.monotonic()
        while time.monotonic() - begin < SPAWN_TIMEOUT:
            self.web.get(f"{self.server_url}/lab", timeout=REQUEST_TIMEOUT)
            answer = self.web.get(f"{self.server_url}/api/status", timeout=REQUEST_TIMEOUT, allow_redirects=False)
            if answer.status_code == 200 and "started" in answer.text:
                return time.monotonic() - begin
            time.sleep(0.5)
        raise StepFailed(f"the notebook server of {self.name} does not answer after {SPAWN_TIMEOUT:.0f} s", HUB_REMEDY)

    def server_runs(self) -> bool:
        """Whether the user has a notebook server."""
        answer = self.web.get(f"{self.hub_url}/hub/api/users/{quote(self.name)}", headers=self.xsrf("/hub/"), timeout=REQUEST_TIMEOUT)
        return answer.status_code == 200 and bool(answer.json().get("servers"))

    def stop_server(self) -> None:
        """Stop the notebook server, and wait until it is gone."""
        self.web.delete(f"{self.hub_url}/hub/api/users/{quote(self.name)}/server", headers=self.xsrf("/hub/"), timeout=REQUEST_TIMEOUT)
        begin = time.monotonic()
        while self.server_runs() and time.monotonic() - begin < STOP_TIMEOUT:
            time.sleep(0.5)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Call the notebook server's REST interface (``api/kernels``)."""
        headers = self.xsrf(f"/user/{self.name}/")
        return self.web.request(method, f"{self.server_url}/{path}", headers=headers, timeout=REQUEST_TIMEOUT, **arguments)

    def upload(self, file: Path, path: str) -> None:
        """Put a file into the user's folder on the notebook server.

        Parameters
        ----------
        file:
            A file of this machine.
        path:
            Its path there, relative to the folder that the server shows.

        Raises
        ------
        StepFailed
            The server refuses.
        """
        folder = path.rpartition("/")[0]
        if folder:
            self.call("PUT", f"api/contents/{quote(folder)}", json={"type": "directory"})
        content = base64.b64encode(file.read_bytes()).decode()
        answer = self.call("PUT", f"api/contents/{quote(path)}", json={"type": "file", "format": "base64", "content": content})
        if answer.status_code not in (200, 201):
            raise StepFailed(f"the notebook server takes no file {path} (HTTP {answer.status_code})", "see `./cantiere logs hub`")

    def delete(self, path: str) -> None:
        """Remove a file or folder from the user's folder on the notebook server."""
        self.call("DELETE", f"api/contents/{quote(path)}")

    def xsrf(self, path: str) -> dict[str, str]:
        """Header that the servers ask for beside the cookie of the same value."""
        for cookie in self.web.cookies:
            if cookie.name == "_xsrf" and cookie.path == path and cookie.value:
                return {"X-XSRFToken": cookie.value}
        return {}

    def cookies(self, path: str) -> str:
        """The Cookie header for a path of the hub's host."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.web.cookies if path.startswith(cookie.path))

    def _send(self, form: Form, **values: str) -> requests.Response:
        fields = {**form.fields, **values}
        if form.method == "get":
            return self.web.get(form.action, params=fields, timeout=REQUEST_TIMEOUT)
        return self.web.post(form.action, data=fields, headers={"Referer": form.action}, timeout=FORM_TIMEOUT)


def page_message(answer: requests.Response) -> str:
    """What a page says, in one line."""
    text = re.sub(r"<(script|style|noscript|title|nav).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return " ".join(text.split())[-300:]


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
