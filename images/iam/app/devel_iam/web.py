"""The web application: log-in page, OAuth 2 and OpenID Connect endpoints."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError
from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from devel_iam import grants, tokens
from devel_iam.grants import Server
from devel_iam.settings import Settings, load
from devel_iam.store import Store

COOKIE = "__Host-login"


def create_app() -> Flask:
    """The application as the container runs it: settings and secrets from where the container engine put them."""
    settings = load(os.environ["CANTIERE_SETTINGS"], Path(os.environ.get("IAM_SECRETS", "/run/secrets")))
    return application(settings, Store(Path(os.environ.get("IAM_DATA", "/var/lib/iam")) / "iam.sqlite"))


def application(settings: Settings, store: Store) -> Flask:
    """Make the application from its settings and its store."""
    app = Flask(__name__)
    server = Server(app, settings, store)
    app.add_url_rule("/", view_func=lambda: render_template("index.html", settings=settings), endpoint="index")
    app.add_url_rule("/healthz", view_func=lambda: Response("ok\n", mimetype="text/plain"), endpoint="healthz")
    _add_metadata(app, settings)
    _add_login(app, server)
    _add_tokens(app, server)

    @app.after_request
    def protect(response: Response) -> Response:
        """Headers that keep pages out of frames and caches, and foreign content out of pages."""
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.errorhandler(HTTPException)
    def page(error: HTTPException) -> tuple[str, int]:
        """An HTTP error as a page."""
        return render_template("error.html", message=f"{error.name}: {error.description}"), error.code or 500

    return app


def _add_metadata(app: Flask, settings: Settings) -> None:
    issuer = settings.issuer
    metadata = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "introspection_endpoint": f"{issuer}/introspect",
        "jwks_uri": f"{issuer}/jwk",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", grants.EXCHANGE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(settings.user_scopes),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "email", "groups", "wlcg.groups"],
    }
    keys = {"keys": [settings.key.as_dict(private=False)]}

    def cached(body: dict[str, Any]) -> Response:
        response = jsonify(body)
        response.headers["Cache-Control"] = "public, max-age=600"
        return response

    app.add_url_rule("/.well-known/openid-configuration", view_func=lambda: cached(metadata), endpoint="openid-configuration")
    app.add_url_rule("/.well-known/oauth-authorization-server", view_func=lambda: cached(metadata), endpoint="oauth-authorization-server")
    app.add_url_rule("/jwk", view_func=lambda: cached(keys), endpoint="jwk")


def _add_login(app: Flask, server: Server) -> None:
    settings = server.settings

    def form(grant: Any, status: int = 200, message: str = "", username: str = "") -> Response:
        wanted = grant.request.scope.split()
        page = render_template("login.html", client=grant.client.client_id, scopes=wanted, message=message, username=username)
        response = make_response(page, status)
        response.set_cookie(COOKIE, secrets.token_urlsafe(), secure=True, httponly=True, samesite="Strict")
        return response

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Response:
        """The authorization endpoint: shows the log-in form, and takes it."""
        user = settings.users.get(request.form.get("username", ""))
        known = user is not None and user.knows(request.form.get("password", ""))
        try:
            grant = server.get_consent_grant(end_user=user if known else None)
        except OAuth2Error as error:
            if getattr(error, "redirect_uri", None):
                return server.handle_error_response(request, error)
            return make_response(render_template("error.html", message=error.description or error.error), 400)
        if request.method == "GET":
            return form(grant)
        if COOKIE not in request.cookies or request.headers.get("Origin", settings.issuer) != settings.issuer:
            return form(grant, 403, "The log-in form came from elsewhere, or your browser refuses cookies. Please try again.")
        if not known:
            return form(grant, 401, "Unknown user or wrong password.", request.form.get("username", ""))
        return server.create_authorization_response(grant_user=user, grant=grant)


def _add_tokens(app: Flask, server: Server) -> None:
    settings = server.settings

    @app.post("/token")
    def token() -> Response:
        """The token endpoint."""
        return server.create_token_response()

    @app.post("/introspect")
    def introspect() -> Response:
        """Tell a registered client what an access token of ours says (RFC 7662)."""
        oauth = server.create_oauth2_request(request)
        try:
            server.authenticate_client(oauth, grants.Grant.TOKEN_ENDPOINT_AUTH_METHODS, "introspection")
        except InvalidClientError as error:
            return server.handle_error_response(oauth, error)
        claims = tokens.verified(settings, request.form.get("token", ""))
        return jsonify({"active": True, "token_type": "Bearer"} | claims if claims else {"active": False})

    @app.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> Response:
        """What the IAM knows of the user whose access token is shown."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        claims = tokens.verified(settings, text.strip()) if kind.lower() == "bearer" else None
        user = settings.by_subject(claims["sub"]) if claims else None
        if claims is None or user is None:
            return _refused(401, "invalid_token", "The access token is missing, expired, or not one of this issuer.")
        if "openid" not in claims["scope"].split():
            return _refused(403, "insufficient_scope", "The access token lacks the scope openid.")
        return jsonify({"sub": user.subject} | tokens.identity(user, claims["scope"]))


def _refused(status: int, code: str, description: str) -> Response:
    response = make_response(jsonify(error=code, error_description=description), status)
    response.headers["WWW-Authenticate"] = f'Bearer error="{code}", error_description="{description}"'
    return response
