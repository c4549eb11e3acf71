"""Tokens for attempts: real ones from the IAM, narrowed, left to expire, or forged."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from cantiere.verify.forms import find_form
from cantiere.verify.result import StepFailed

TIMEOUT = 20.0
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
REMEDY = "see `./cantiere logs iam`"

LOGIN_SCOPES = "openid profile wlcg.groups compute.read compute.create compute.modify compute.cancel storage.read:/ storage.create:/"
"""What a user's token for the facility carries."""

FOREIGN_AUDIENCE = "https://elsewhere.example"


class TokenClient:
    """A client of the IAM, through which verification asks for tokens.

    Parameters
    ----------
    issuer:
        The IAM's URL.
    client_id, secret:
        Its credentials.
    callback:
        The redirect URI that it is registered with.
    ca:
        File with the certificate of the facility's CA.
    """

    def __init__(self, issuer: str, client_id: str, secret: str, callback: str, ca: Path) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self._secret = secret
        self.callback = callback
        self.ca = ca

    def log_in(self, user: str, password: str) -> str:
        """Log a user in by the authorization code flow.

        Returns
        -------
        str
            An access token.

        Raises
        ------
        StepFailed
            The IAM does not let the user in.
        """
        web, state = self._web(), secrets.token_urlsafe(16)
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": LOGIN_SCOPES,
            "state": state,
        }
        page = web.get(f"{self.issuer}/authorize", params=query, timeout=TIMEOUT)
        form = find_form(page.text, page.url, "password")
        if form is None:
            raise StepFailed(f"the IAM shows no log-in form to client {self.client_id} (HTTP {page.status_code})", REMEDY)
        fields = {**form.fields, "username": user, "password": password}
        answer = web.post(form.action, data=fields, allow_redirects=False, timeout=TIMEOUT)
        found = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        if found.get("state") != [state] or "code" not in found:
            raise StepFailed(f"the IAM gives client {self.client_id} no code for {user} (HTTP {answer.status_code})", REMEDY)
        return self._ask(grant_type="authorization_code", code=found["code"][0], redirect_uri=self.callback)

    def exchange(self, token: str, scope: str = "", audience: str = "") -> str:
        """Exchange an access token for one with less scope, or for another audience."""
        wanted = {"scope": scope} if scope else {}
        wanted |= {"audience": audience} if audience else {}
        return self._ask(grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN, **wanted)

    def _ask(self, **form: str) -> str:
        answer = self._web().post(f"{self.issuer}/token", data=form, auth=(self.client_id, self._secret), timeout=TIMEOUT)
        if answer.status_code != 200:
            raise StepFailed(f"the IAM refuses client {self.client_id} {form['grant_type']}: {answer.text[:200]}", REMEDY)
        return str(answer.json()["access_token"])

    def _web(self) -> requests.Session:
        web = requests.Session()
        web.verify, web.trust_env = str(self.ca), False
        return web


def forge(token: str) -> str:
    """A token with the same header and claims, signed with a key of our own."""
    header = jwt.get_unverified_header(token)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(token), key, algorithm="RS256", headers={name: header[name] for name in ("kid", "typ") if name in header})


def claims(token: str) -> dict[str, Any]:
    """What a token says; its signature is not looked at."""
    content: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return content
