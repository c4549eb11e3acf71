"""What a hub is configured with, wherever it runs: log-in, tokens for notebooks, the spawn page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere_hub import discovery
from cantiere_hub.authenticator import FacilityAuthenticator, groups
from cantiere_hub.form import Limits, Profile, image_groups
from cantiere_hub.handlers import SCOPE, TokenHandler


def roles(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What users and their servers may do at the hub.

    A server may ask for its own user's access token, and nobody for another's. ``service_scopes`` of the settings come to both.
    """
    more = list(settings.get("service_scopes", ()))
    return [
        {"name": "user", "scopes": ["self", f"{SCOPE}!user", *more]},
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", f"{SCOPE}!user", *more]},
    ]


def log_in(c: Any, settings: Mapping[str, Any], secrets: Path) -> None:
    """Users log in at the facility's issuer, and the hub keeps their tokens valid.

    Parameters
    ----------
    c:
        JupyterHub's configuration.
    settings:
        ``url``, ``issuer``, ``client_id``, ``scopes``, ``allowed_groups``, ``admin_groups``.
    secrets:
        Folder with ``client-secret`` and ``crypt-key``.
    """
    issuer = discovery.discover(settings["issuer"])
    c.CryptKeeper.keys = [hashlib.sha256((secrets / "crypt-key").read_bytes()).digest()]
    c.JupyterHub.authenticator_class = FacilityAuthenticator
    c.OAuthenticator.client_id = settings["client_id"]
    c.OAuthenticator.client_secret = (secrets / "client-secret").read_text().strip()
    c.OAuthenticator.basic_auth = discovery.by_header(issuer)
    c.OAuthenticator.oauth_callback_url = f"{settings['url']}/hub/oauth_callback"
    c.OAuthenticator.authorize_url = issuer["authorization_endpoint"]
    c.OAuthenticator.token_url = issuer["token_endpoint"]
    c.OAuthenticator.userdata_url = issuer["userinfo_endpoint"]
    c.OAuthenticator.scope = discovery.offered(settings["scopes"], issuer)
    c.OAuthenticator.enable_pkce = True
    c.OAuthenticator.username_claim = "preferred_username"
    c.OAuthenticator.manage_groups = True
    c.OAuthenticator.auth_state_groups_key = groups
    c.OAuthenticator.allow_all = not settings["allowed_groups"]
    c.OAuthenticator.allowed_groups = set(settings["allowed_groups"])
    c.OAuthenticator.admin_groups = set(settings["admin_groups"])
    c.OAuthenticator.enable_auth_state = True
    c.OAuthenticator.refresh_pre_spawn = True
    c.OAuthenticator.auth_refresh_strict = True
    c.OAuthenticator.login_service = "the facility's IAM"


def tokens(c: Any) -> None:
    """Notebook servers may ask for their users' access tokens; the roles for it are :func:`roles`."""
    c.JupyterHub.custom_scopes = {SCOPE: {"description": "Get the user's access token for the facility's services"}}
    c.JupyterHub.extra_handlers = [(r"/api/cantiere/token", TokenHandler)]


def limits(settings: Mapping[str, Any]) -> Limits:
    """What users may choose from; whole numbers may have come as fractions (Helm makes all numbers so)."""
    offer = settings["notebooks"]
    return Limits(
        images=dict(zip(offer["images"], settings["titles"], strict=True)),
        image_pattern=offer["image_pattern"],
        **{key: int(offer[key]) for key in ("max_cpus", "max_memory", "max_gpus")},
        profiles=tuple(
            Profile(item["title"], int(item["cpus"]), int(item["memory"]), int(item["gpus"]), tuple(item["groups"]))
            for item in settings.get("profiles", ())
        ),
        stacks={item["title"]: item["script"] for item in settings.get("stacks", ())},
        image_groups=image_groups(settings),
    )
