"""Makes and checks tokens: access tokens of the WLCG profile, and the claims that scopes unlock."""

from __future__ import annotations

import time
import uuid
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from werkzeug.datastructures import MultiDict

from devel_iam.settings import Client, Settings, User

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
TYPE = "at+jwt"
MAX_AUDIENCES = 20


def audiences(asked: MultiDict[str, str]) -> tuple[str, ...]:
    """The audiences asked for by ``audience`` or ``resource``, each space separated or repeated; empty where none is."""
    texts = asked.getlist("audience") + asked.getlist("resource")
    return tuple(dict.fromkeys(word for text in texts for word in text.split()))[:MAX_AUDIENCES]


def access_token(settings: Settings, client: Client, user: User | None, scope: str, audience: tuple[str, ...]) -> str:
    """Sign an access token.

    Parameters
    ----------
    settings:
        Issuer and key.
    client:
        Whom it is given to.
    user:
        Whom it speaks for; None for the client itself.
    scope:
        What it permits, space separated.
    audience:
        Where it may be used; empty for anywhere.
    """
    now = int(time.time())
    claims: dict[str, Any] = {
        "wlcg.ver": "1.0",
        "iss": settings.issuer,
        "sub": user.subject if user else client.client_id,
        "aud": (audience[0] if len(audience) == 1 else list(audience)) if audience else ANY_AUDIENCE,
        "client_id": client.client_id,
        "scope": scope,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + client.lifetime,
    }
    if user:
        claims |= identity(user, scope)
    return jwt.encode({"alg": "RS256", "typ": TYPE, "kid": settings.key.kid}, claims, settings.key, ["RS256"])


def identity(user: User, scope: str) -> dict[str, Any]:
    """The claims on a user that the scopes unlock: name, e-mail address and groups."""
    scopes = scope.split()
    claims: dict[str, Any] = {}
    if "profile" in scopes:
        claims |= {"preferred_username": user.name, "name": user.name}
    if "email" in scopes:
        claims |= {"email": user.email, "email_verified": True}
    if "wlcg.groups" in scopes:
        claims["wlcg.groups"] = list(user.groups)
    if "groups" in scopes:
        claims["groups"] = list(user.groups)
    return claims


def verified(settings: Settings, token: str) -> dict[str, Any] | None:
    """The claims of an access token that this IAM signed and that is valid now, else None."""
    try:
        parsed = jwt.decode(token, settings.key, ["RS256"])
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": settings.issuer},
            sub={"essential": True},
            exp={"essential": True},
        ).validate(parsed.claims)
    except (JoseError, ValueError):
        return None
    return parsed.claims if parsed.header.get("typ") == TYPE else None
