"""Where a notebook server asks for its user's access token."""

from __future__ import annotations

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.user import User
from tornado import web
from tornado.httpclient import HTTPClientError

from cantiere_hub.authenticator import LoginNeeded, expires_at

SCOPE = "custom:cantiere:token"
"""What a server's API token has to carry, for its own user."""


class TokenHandler(APIHandler):
    """``GET /hub/api/cantiere/token``: a valid access token of whoever owns the API token; ``?fresh=1`` gets a new one."""

    async def get(self) -> None:
        """Answer with ``access_token`` and ``expires_at``.

        Raises
        ------
        tornado.web.HTTPError
            403 without an API token of that scope, or where its user is not allowed any more; 409 where the user has to log in
            again; 502 where the issuer does not answer.
        """
        user = self.current_user
        if user is None:
            raise web.HTTPError(403, "no valid API token, or its user has to log in at the hub again")
        # a browser's cookie does not do: pages of other users' servers come from the same host
        if self.get_token() is None or not isinstance(user, User) or not self.has_scope(f"{SCOPE}!user={user.name}"):
            raise web.HTTPError(403, f"an API token with the scope {SCOPE} is needed")
        try:
            response = await self.authenticator.access_token(user, fresh=self.get_argument("fresh", "") == "1")
        except LoginNeeded as error:
            raise web.HTTPError(409, f"{error}: log in at the hub again") from error
        except (OSError, HTTPClientError) as error:
            raise web.HTTPError(502, f"the issuer does not answer: {error}") from error
        self.set_header("Cache-Control", "no-store")
        self.finish({"access_token": response["access_token"], "expires_at": expires_at(response)})
