"""What the token endpoint does: authorization code, refresh, client credentials and token exchange, on Authlib."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
    TokenEndpointMixin,
    UnauthorizedClientError,
    grants,
)
from authlib.oauth2.rfc6749.grants import BaseGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode, OpenIDToken
from flask import Flask
from joserfc.jwk import RSAKey

from devel_iam import scopes, tokens
from devel_iam.settings import Client, Settings, User
from devel_iam.store import Code, Refresh, Store

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """The authorization server.

    Parameters
    ----------
    app:
        The Flask application.
    settings, store:
        What it is told, and what it keeps.
    """

    def __init__(self, app: Flask, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        super().__init__(app, query_client=settings.clients.get, save_token=lambda _token, _request: None)
        challenge = CodeChallenge(required=True)
        challenge.SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
        challenge.DEFAULT_CODE_CHALLENGE_METHOD = "S256"
        self.register_grant(AuthorizationCode, [LogIn(settings), challenge])
        self.register_grant(RefreshToken, [IdToken(settings)])
        self.register_grant(ClientCredentials)
        self.register_grant(Exchange)


class Grant:
    """What all grants share: the access token, and a refresh token where offline access was granted."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")
    request: OAuth2Request
    server: Server

    @property
    def asked_audience(self) -> tuple[str, ...]:
        """The audiences asked for in this request."""
        return tokens.audiences(self.request.payload.data)

    @property
    def login(self) -> Code | Refresh | None:
        """The code or refresh token that is being redeemed."""
        return None

    def generate_token(self, user: User | None = None, scope: str = "", include_refresh_token: bool = False, **_: Any) -> dict[str, Any]:
        """The answer of the token endpoint."""
        client: Client = self.request.client
        login = self.login
        audience = self.asked_audience or tuple(login.audience.split() if login else ())
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": tokens.access_token(self.server.settings, client, user, scope, audience),
            "expires_in": client.lifetime,
            "scope": scope,
        }
        if include_refresh_token and login and user and "offline_access" in login.scope.split():
            answer["refresh_token"] = secrets.token_urlsafe(48)
            family = login.family if isinstance(login, Refresh) else str(uuid.uuid4())
            kept = login.audience if isinstance(login, Refresh) else " ".join(audience)
            self.server.store.save_refresh(answer["refresh_token"], family, client.client_id, user.name, login.scope, kept)
        return answer


class AuthorizationCode(Grant, grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """Log-in by a browser."""

    @property
    def login(self) -> Code | None:
        """The code that is being redeemed."""
        return self.request.authorization_code

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Keep a code until its client comes for it."""
        asked = request.payload.data
        self.server.store.save_code(
            code,
            request.client.client_id,
            request.user.name,
            request.payload.redirect_uri or "",
            scopes.granted(request.scope, self.server.settings.user_scopes),
            " ".join(self.asked_audience),
            {"nonce": asked.get("nonce"), "challenge": asked.get("code_challenge"), "method": asked.get("code_challenge_method")},
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Take a code of that client; it is gone afterwards, whatever comes of the request."""
        return self.server.store.take_code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing is left to delete: a code is taken once."""

    def authenticate_user(self, authorization_code: Code) -> User | None:
        """Who logged in."""
        return self.server.settings.users.get(authorization_code.user)


class RefreshToken(Grant, grants.RefreshTokenGrant):  # type: ignore[misc]
    """A new access token without a log-in; the refresh token is replaced at each use."""

    INCLUDE_NEW_REFRESH_TOKEN = True

    @property
    def login(self) -> Refresh | None:
        """The refresh token that is being redeemed."""
        return self.request.refresh_token

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        """Find a refresh token that is valid now."""
        return self.server.store.find_refresh(refresh_token)

    def authenticate_user(self, refresh_token: Refresh) -> User | None:
        """Whose it is."""
        return self.server.settings.users.get(refresh_token.user)

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        """Note that it was used."""
        self.server.store.supersede(refresh_token)


class ClientCredentials(Grant, grants.ClientCredentialsGrant):  # type: ignore[misc]
    """A token for the client itself."""

    def generate_token(self, user: User | None = None, scope: str = "", include_refresh_token: bool = False, **_: Any) -> dict[str, Any]:
        """The answer, with the scopes that the client may have."""
        return super().generate_token(None, scopes.granted(scope, self.request.client.scopes, self.server.settings.user_scopes))


class Exchange(Grant, BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """Token exchange (RFC 8693): a user's access token for one with less scope, or with another audience."""

    GRANT_TYPE = EXCHANGE

    def validate_token_request(self) -> None:
        """Check the client and the token that it brings."""
        client: Client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError(f"The client may not use 'grant_type={self.GRANT_TYPE}'")
        form = self.request.form
        if form.get("subject_token_type") not in (ACCESS_TOKEN, JWT):
            raise InvalidRequestError(f"The 'subject_token_type' has to be {ACCESS_TOKEN}")
        claims = tokens.verified(self.server.settings, form.get("subject_token", ""))
        user = self.server.settings.by_subject(claims["sub"]) if claims else None
        if claims is None or user is None:
            raise InvalidGrantError("The 'subject_token' is not a valid access token of a user.")
        has = claims["scope"].split()
        asked = self.request.payload.scope
        scope = scopes.granted(asked or claims["scope"], has, client.scopes, self.server.settings.user_scopes)
        if asked and not scope:
            raise InvalidScopeError()
        self.request.client, self.request.user, self.request.scope = client, user, scope

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """The answer with the new token."""
        answer = self.generate_token(self.request.user, self.request.scope) | {"issued_token_type": ACCESS_TOKEN}
        return 200, answer, self.TOKEN_RESPONSE_HEADER


class IdToken(OpenIDToken):  # type: ignore[misc]
    """Adds an ``id_token`` for the client."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        """The key that signs it."""
        return self.settings.key

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        """Its header."""
        return {"alg": "RS256", "typ": "JWT", "kid": self.settings.key.kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        """Issuer and audience."""
        return {"iss": self.settings.issuer, "aud": client.client_id}

    def generate_user_info(self, user: User, scope: str) -> dict[str, Any]:
        """Whom it speaks of."""
        return {"sub": user.subject} | tokens.identity(user, scope)


class LogIn(IdToken, OpenIDCode):  # type: ignore[misc]
    """Adds an ``id_token`` to a log-in, with the client's nonce."""

    def __init__(self, settings: Settings) -> None:
        IdToken.__init__(self, settings)
        self.require_nonce = False

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        """Whether a nonce was seen before: codes are taken once, so that it need not be known."""
        return False
