"""What the development IAM is told: its issuer URL, users and clients, and the secrets that go with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import RSAKey

from devel_iam import scopes


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can log in.

    Parameters
    ----------
    name, subject, email:
        Log-in name, the ``sub`` of all tokens, and e-mail address.
    groups:
        Names of groups, each with a leading slash.
    password:
        In clear.
    """

    name: str
    subject: str
    email: str
    groups: tuple[str, ...]
    password: str

    def knows(self, password: str) -> bool:
        """Whether that is the user's password."""
        return compare_digest(self.password.encode(), password.encode())


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):
    """An application registered with the IAM; all are confidential.

    Parameters
    ----------
    client_id, secret:
        Its credentials.
    redirect_uris:
        Where a log-in may return to.
    grant_types:
        What it may use the token endpoint for.
    scopes:
        What it may be granted.
    lifetime:
        Validity of its access tokens in seconds.
    """

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scopes: tuple[str, ...]
    lifetime: int

    def get_client_id(self) -> str:
        """Its identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """The redirect URI where there is just one."""
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str) -> str:
        """What is granted of a wish."""
        return scopes.granted(scope, self.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether a log-in may return there."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether that is its secret."""
        return compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it may authenticate in that way."""
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        """Whether its log-ins may be answered in that way."""
        return response_type == "code" and "authorization_code" in self.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may use that grant."""
        return grant_type in self.grant_types


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the IAM is told.

    Parameters
    ----------
    issuer:
        Its own URL, without a slash at the end.
    key:
        What it signs tokens with.
    users, clients:
        By name and by identifier.
    user_scopes:
        What a user may be granted.
    """

    issuer: str
    key: RSAKey
    users: Mapping[str, User]
    clients: Mapping[str, Client]
    user_scopes: tuple[str, ...]

    def by_subject(self, subject: str) -> User | None:
        """The user with that ``sub``, or None."""
        return next((user for user in self.users.values() if user.subject == subject), None)


def load(text: str, secrets: Path) -> Settings:
    """Read the settings.

    Parameters
    ----------
    text:
        JSON with ``issuer``, ``users``, ``clients``, ``user_scopes`` and ``token_lifetime`` (seconds).
    secrets:
        Folder with ``signing-key.pem``, ``user-<name>`` and ``client-<id>``.

    Raises
    ------
    OSError
        A secret is missing.
    """
    wanted: dict[str, Any] = json.loads(text)

    def secret(file: str) -> str:
        return (secrets / file).read_text(encoding="utf-8").strip()

    users = [User(name, it["sub"], it["email"], tuple(it["groups"]), secret(f"user-{name}")) for name, it in wanted["users"].items()]
    clients = [
        Client(
            it["id"],
            secret(f"client-{it['id']}"),
            tuple(it["redirect_uris"]),
            frozenset(it["grant_types"]),
            tuple(it["scopes"]),
            it.get("token_lifetime", wanted["token_lifetime"]),
        )
        for it in wanted["clients"]
    ]
    key = RSAKey.import_key(secret("signing-key.pem"))
    return Settings(
        wanted["issuer"],
        RSAKey.import_key(secret("signing-key.pem"), {"kid": key.thumbprint(), "use": "sig", "alg": "RS256"}),
        {user.name: user for user in users},
        {client.client_id: client for client in clients},
        tuple(wanted["user_scopes"]),
    )
