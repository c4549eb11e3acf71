"""Log-in by OpenID Connect, and a user's access token that the hub keeps valid."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError

USUAL_LIFETIME = 3600.0
"""Seconds, where the issuer does not say how long a token is good."""


class LoginNeeded(Exception):
    """The hub has no valid token of the user, and cannot get one."""


def expires_at(token_response: Mapping[str, Any]) -> float:
    """When an access token ends, in seconds since 1970."""
    return float(token_response["obtained_at"]) + float(token_response["expires_in"])


def due(token_response: Mapping[str, Any]) -> bool:
    """Whether less than a third of an access token's lifetime is left."""
    return expires_at(token_response) - time.time() < float(token_response["expires_in"]) / 3


def groups(auth_state: Mapping[str, Any]) -> list[str]:
    """A user's groups in the WLCG profile's notation, with a leading slash."""
    user = auth_state["oauth_user"]
    found = user.get("wlcg.groups") or user.get("groups") or []
    return sorted({f"/{str(name).lstrip('/')}" for name in found})


class FacilityAuthenticator(GenericOAuthenticator):
    """OpenID Connect with refresh tokens that may be good for one use only: each user's are used by one task at a time."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get_token_info(self, handler: Any, params: Mapping[str, str]) -> dict[str, Any]:
        """The token endpoint's answer, with the time at which it came."""
        info: dict[str, Any] = await super().get_token_info(handler, params)
        info["obtained_at"] = time.time()
        info.setdefault("expires_in", USUAL_LIFETIME)
        return info

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Ask the issuer about a user again: one who has left the allowed groups, or whose log-in is over, has to log in.

        An issuer that does not answer changes nothing.
        """
        async with self._locks[user.name]:
            try:
                state = await user.get_auth_state()
                if state and due(state["token_response"]):
                    await self._renew(user, state)
                model = await super().refresh_user(user, handler, **kwargs)
            except LoginNeeded as error:
                self.log.info("%s has to log in: %s", user.name, error)
                return False
            except (OSError, HTTPClientError) as error:
                self.log.warning("the issuer does not answer about %s: %s", user.name, error)
                return True
            if not isinstance(model, dict):
                return model
            if not await self.check_allowed(model["name"], model):
                self.log.warning("%s is in no allowed group any more", user.name)
                return False
            await user.save_auth_state(model["auth_state"])
            same = set(model["groups"]) == {group.name for group in user.groups} and model["admin"] in (None, user.admin)
            return True if same else model

    async def access_token(self, user: Any, fresh: bool = False) -> Mapping[str, Any]:
        """The token endpoint's last answer for a user, with an access token that is good for a while.

        Parameters
        ----------
        user:
            JupyterHub's user.
        fresh:
            Whether a new token is wanted even if the present one is good.

        Raises
        ------
        LoginNeeded
            There is none.
        """
        async with self._locks[user.name]:
            state = await user.get_auth_state()
            if not state:
                raise LoginNeeded("no log-in is kept")
            if fresh or due(state["token_response"]):
                state = await self._renew(user, state)
            response: Mapping[str, Any] = state["token_response"]
            return response

    async def _renew(self, user: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
        if not state.get("refresh_token"):
            raise LoginNeeded("the issuer gave no refresh token")
        try:
            info = await self.get_token_info(None, self.build_refresh_token_request_params(state["refresh_token"]))
        except HTTPClientError as error:
            if error.code < 500:
                raise LoginNeeded(f"the issuer takes the refresh token no more (HTTP {error.code})") from error
            raise
        response = {**state["token_response"], **info}
        new = {
            **state,
            "access_token": response["access_token"],
            "refresh_token": response["refresh_token"],
            "token_response": response,
        }
        await user.save_auth_state(new)
        self.log.info("new access token for %s, good for %.0f s", user.name, float(response["expires_in"]))
        return new
