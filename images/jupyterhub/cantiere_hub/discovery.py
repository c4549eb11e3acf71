"""What an issuer says about itself."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

PATIENCE = 60.0
"""Seconds that an issuer may take to come up."""


def discover(issuer: str) -> dict[str, Any]:
    """The issuer's OpenID Connect metadata.

    Raises
    ------
    SystemExit
        It does not answer, or presents itself as another issuer.
    """
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10, context=ssl.create_default_context()) as answer:
                metadata: dict[str, Any] = json.load(answer)
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"the issuer does not answer at {address}: {error}") from error
            time.sleep(1)
    if str(metadata["issuer"]).rstrip("/") != issuer.rstrip("/"):
        raise SystemExit(f"{address} presents itself as {metadata['issuer']}: correct issuer_url")
    return metadata


def offered(scopes: Iterable[str], metadata: Mapping[str, Any]) -> list[str]:
    """Those scopes that the issuer offers; all of them where it does not say."""
    known = metadata.get("scopes_supported")
    return [scope for scope in scopes if not known or scope in known]


def by_header(metadata: Mapping[str, Any]) -> bool:
    """Whether a client shows its secret in the Authorization header rather than in the request's body."""
    return "client_secret_basic" in metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
