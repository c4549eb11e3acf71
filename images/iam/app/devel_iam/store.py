"""What outlives a restart: authorization codes and refresh tokens, of which only digests are kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, TokenMixin

from devel_iam.settings import Client

CODE_LIFETIME = 120
REFRESH_LIFETIME = 14 * 24 * 3600
RETRY_WINDOW = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS code (
    digest TEXT PRIMARY KEY, client_id TEXT, user TEXT, redirect_uri TEXT, scope TEXT, audience TEXT,
    nonce TEXT, challenge TEXT, method TEXT, issued INTEGER);
CREATE TABLE IF NOT EXISTS refresh (
    digest TEXT PRIMARY KEY, family TEXT, client_id TEXT, user TEXT, scope TEXT, audience TEXT, issued INTEGER, superseded INTEGER);
"""


@dataclass(frozen=True, slots=True)
class Code(AuthorizationCodeMixin):
    """A log-in that waits for its client to fetch the tokens."""

    digest: str
    client_id: str
    user: str
    redirect_uri: str
    scope: str
    audience: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    issued: int

    def get_redirect_uri(self) -> str:
        """The redirect URI as asked; empty where none was."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scopes granted."""
        return self.scope

    def get_nonce(self) -> str | None:
        """The client's nonce."""
        return self.nonce

    def get_auth_time(self) -> int:
        """When the user logged in, in seconds since 1970."""
        return self.issued

    def get_acr(self) -> None:
        """No authentication class is claimed."""

    def get_amr(self) -> list[str]:
        """How the user logged in."""
        return ["pwd"]


@dataclass(frozen=True, slots=True)
class Refresh(TokenMixin):
    """A refresh token. All those that came from one log-in are a family."""

    digest: str
    family: str
    client_id: str
    user: str
    scope: str
    audience: str
    issued: int
    superseded: int | None

    def check_client(self, client: Client) -> bool:
        """Whether it was given to that client."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """The scopes granted at log-in."""
        return self.scope


class Store:
    """Codes and refresh tokens in an SQLite file.

    Parameters
    ----------
    path:
        The file; made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as database:
            database.executescript("PRAGMA journal_mode=WAL;" + SCHEMA)

    def save_code(
        self, code: str, client_id: str, user: str, redirect_uri: str, scope: str, audience: str, extras: dict[str, str | None]
    ) -> None:
        """Keep a code; ``extras`` are its nonce, challenge and method."""
        now = int(time.time())
        row = (digest(code), client_id, user, redirect_uri, scope, audience, extras["nonce"], extras["challenge"], extras["method"], now)
        with self._open() as database:
            database.execute("DELETE FROM code WHERE issued < ?", (now - CODE_LIFETIME,))
            database.execute("INSERT INTO code VALUES (?,?,?,?,?,?,?,?,?,?)", row)

    def take_code(self, code: str, client_id: str) -> Code | None:
        """Hand out a valid code of that client, once."""
        with self._open() as database:
            row = database.execute(
                "DELETE FROM code WHERE digest = ? AND client_id = ? AND issued >= ? RETURNING *",
                (digest(code), client_id, int(time.time()) - CODE_LIFETIME),
            ).fetchone()
        return Code(*row) if row else None

    def save_refresh(self, token: str, family: str, client_id: str, user: str, scope: str, audience: str) -> None:
        """Keep a refresh token."""
        now = int(time.time())
        with self._open() as database:
            database.execute("DELETE FROM refresh WHERE issued < ?", (now - REFRESH_LIFETIME,))
            database.execute(
                "INSERT INTO refresh VALUES (?,?,?,?,?,?,?,NULL)", (digest(token), family, client_id, user, scope, audience, now)
            )

    def find_refresh(self, token: str) -> Refresh | None:
        """A refresh token that is valid now.

        One that was used already is still taken for a minute, because its answer may have been lost. Later use means that a
        second party holds a copy: the family ends.
        """
        now = int(time.time())
        with self._open() as database:
            row = database.execute(
                "SELECT * FROM refresh WHERE digest = ? AND issued >= ?", (digest(token), now - REFRESH_LIFETIME)
            ).fetchone()
            if not row:
                return None
            found = Refresh(*row)
            if found.superseded is None or found.superseded >= now - RETRY_WINDOW:
                return found
            database.execute("DELETE FROM refresh WHERE family = ?", (found.family,))
        return None

    def supersede(self, token: Refresh) -> None:
        """Note that a refresh token was used."""
        with self._open() as database:
            database.execute("UPDATE refresh SET superseded = ? WHERE digest = ? AND superseded IS NULL", (int(time.time()), token.digest))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=10)
        try:
            with database:
                yield database
        finally:
            database.close()


def digest(text: str) -> str:
    """What is kept of a code or token."""
    return sha256(text.encode()).hexdigest()
