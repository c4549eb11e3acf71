"""The user's access token: asked from the hub, kept in the file that ``BEARER_TOKEN_FILE`` names."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path

REQUEST_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token of the user.

    Parameters
    ----------
    value:
        The token itself.
    expires_at:
        When it ends, in seconds since 1970.
    """

    value: str
    expires_at: float

    @property
    def remaining(self) -> float:
        """Seconds until it ends."""
        return self.expires_at - time.time()


def ask(fresh: bool = False) -> AccessToken:
    """Ask the hub for a valid access token of this server's user.

    Parameters
    ----------
    fresh:
        Whether the hub has to get a new one even if the present one is still good.

    Raises
    ------
    OSError
        The hub cannot be reached, or refuses: the user has to log in again.
    """
    url = f"{os.environ['JUPYTERHUB_API_URL']}/cantiere/token{'?fresh=1' if fresh else ''}"
    request = urllib.request.Request(url, headers={"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"})
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        raise OSError(f"the hub answers HTTP {error.code}: {message(error)}") from error
    return AccessToken(content["access_token"], float(content["expires_at"]))


def message(error: urllib.error.HTTPError) -> str:
    """What a server says of its refusal."""
    try:
        return str(json.load(error)["message"])
    except (OSError, ValueError, KeyError):
        return error.reason


def token_file() -> Path:
    """Where the token is kept."""
    return Path(os.environ["BEARER_TOKEN_FILE"])


def keep(new: AccessToken) -> bool:
    """Put a token into the file, in one step and readable by its owner alone.

    Returns
    -------
    bool
        Whether it differs from the one that was there.
    """
    path = token_file()
    if path.is_file() and path.read_text(encoding="ascii").strip() == new.value:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(new.value)  # and no end of line: not every reader takes it off
    draft.replace(path)
    return True


def token() -> str:
    """The token; read it again each time, since it is renewed."""
    return token_file().read_text(encoding="ascii").strip()


def refresh() -> str:
    """Get a new token now, keep it, and hand it to the pool where a credential was stored there.

    Raises
    ------
    OSError
        The hub cannot be reached, or refuses: the user has to log in again.
    """
    from cantiere_notebook import credential

    keep(ask(fresh=True))
    try:
        credential.renew()
    except RuntimeError as error:
        warnings.warn(f"running jobs keep the token they have: {error}", stacklevel=2)
    return token()
