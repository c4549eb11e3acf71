"""The development IAM's application: log-in, tokens, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from cantiere import pki
from cantiere.services import iam
from support.tree import REPOSITORY
from unit.services.samples_identity import facts, iam_node

pytest.importorskip("authlib")
pytest.importorskip("flask")
sys.path.insert(0, str(REPOSITORY / "images/iam/app"))
from devel_iam import scopes, web

ISSUER = "https://iam.here.internal:8443"
BACK = iam.VERIFY_CALLBACK
WISH = "openid profile email offline_access wlcg.groups groups compute.read storage.read:/"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Iam:
    """The application with a client's view of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.browser = web.create_app().test_client()

    def secret(self, file: str) -> str:
        return (self.folder / file).read_text()

    def authorize(self, user: str = "alice", password: str | None = None, scope: str = WISH, **extra: str) -> Any:
        query = {"response_type": "code", "client_id": "verify", "redirect_uri": BACK, "scope": scope, "state": "s", "nonce": "n", **extra}
        page = self.browser.get("/authorize", query_string=query, base_url=ISSUER)
        if page.status_code != 200:
            return page
        form = {"username": user, "password": self.secret(f"user-{user}") if password is None else password}
        return self.browser.post("/authorize", query_string=query, data=form, base_url=ISSUER)

    def token(self, grant: str, client: str = "verify", **form: str) -> tuple[int, dict[str, Any]]:
        answer = self.browser.post(
            "/token", data={"grant_type": grant, **form}, auth=(client, self.secret(f"client-{client}")), base_url=ISSUER
        )
        return answer.status_code, answer.get_json()

    def login(self, client: str = "verify", **wish: str) -> dict[str, Any]:
        place = self.authorize(client_id=client, **wish).headers["Location"]
        status, tokens = self.token("authorization_code", client, code=parse_qs(urlsplit(place).query)["code"][0], redirect_uri=BACK)
        assert status == 200, tokens
        return tokens

    def userinfo(self, token: str) -> int:
        return self.browser.get("/userinfo", headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER).status_code


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iam:
    node = iam_node()
    (container,) = iam.containers(node, facts(node))
    for item in container.secrets:
        (tmp_path / item.file).write_text(pki.rsa_key() if item.file == "signing-key.pem" else f"secret of {item.file}")
    monkeypatch.setenv("CANTIERE_SETTINGS", json.dumps(dict(container.settings)))
    monkeypatch.setenv("IAM_SECRETS", str(tmp_path))
    monkeypatch.setenv("IAM_DATA", str(tmp_path))
    return Iam(tmp_path)


def test_log_in_gives_tokens_of_the_wlcg_profile(app: Iam) -> None:
    tokens = app.login()
    keys = jwt.PyJWKSet.from_dict(app.browser.get("/jwk", base_url=ISSUER).get_json())
    header = jwt.get_unverified_header(tokens["access_token"])
    access = jwt.decode(tokens["access_token"], keys[header["kid"]], ["RS256"], audience="https://wlcg.cern.ch/jwt/v1/any", issuer=ISSUER)
    assert header["typ"] == "at+jwt"
    assert access["wlcg.ver"] == "1.0"
    assert access["sub"] == iam.subject(ISSUER, "alice")
    assert access["wlcg.groups"] == access["groups"] == ["/cms", "/cms/analysis"]
    assert access["scope"] == tokens["scope"] == WISH
    assert access["exp"] - access["iat"] == tokens["expires_in"] == 3600
    identity = jwt.decode(tokens["id_token"], keys[header["kid"]], ["RS256"], audience="verify", issuer=ISSUER)
    assert (identity["nonce"], identity["groups"]) == ("n", ["/cms", "/cms/analysis"])
    assert app.userinfo(tokens["access_token"]) == 200


def test_every_page_says_what_it_is(app: Iam) -> None:
    for path in ("/", "/authorize?client_id=nobody", "/nothing"):
        assert b"for tests and single machines, not for production" in app.browser.get(path, base_url=ISSUER).data


def test_log_in_is_refused(app: Iam) -> None:
    assert app.authorize(password="wrong").status_code == 401
    assert app.authorize(user="bob", password=app.secret("user-alice")).status_code == 401
    assert app.authorize(redirect_uri="https://elsewhere.example/").status_code == 400
    assert app.authorize(client_id="nobody").status_code == 400


def test_the_form_counts_only_where_it_was_shown(app: Iam) -> None:
    query = {"response_type": "code", "client_id": "verify", "redirect_uri": BACK, "scope": WISH}
    form = {"username": "alice", "password": app.secret("user-alice")}
    ask: dict[str, Any] = {"query_string": query, "data": form, "base_url": ISSUER}
    assert app.browser.post("/authorize", **ask).status_code == 403
    app.browser.get("/authorize", query_string=query, base_url=ISSUER)
    assert app.browser.post("/authorize", **ask, headers={"Origin": "https://hub.here.internal:8000"}).status_code == 403
    assert app.browser.post("/authorize", **ask, headers={"Origin": ISSUER}).status_code == 302


def test_a_code_is_taken_once_and_by_its_client_alone(app: Iam) -> None:
    def code(**extra: str) -> str:
        return parse_qs(urlsplit(app.authorize(**extra).headers["Location"]).query)["code"][0]

    first = code()
    assert app.token("authorization_code", "verify-short", code=first, redirect_uri=BACK)[0] == 400
    assert app.token("authorization_code", code=first, redirect_uri=BACK)[0] == 200
    assert app.token("authorization_code", code=first, redirect_uri=BACK)[1]["error"] == "invalid_grant"
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    for shown, status in ((verifier, 200), ("w" * 50, 400)):
        asked = code(code_challenge=challenge, code_challenge_method="S256")
        assert app.token("authorization_code", code=asked, redirect_uri=BACK, code_verifier=shown)[0] == status


def test_refresh_survives_a_restart_and_a_retry_but_not_a_thief(app: Iam, monkeypatch: pytest.MonkeyPatch) -> None:
    first = app.login()["refresh_token"]
    second = app.token("refresh_token", refresh_token=first)[1]["refresh_token"]
    again = Iam(app.folder)
    assert again.token("refresh_token", refresh_token=first)[0] == 200
    status, narrow = again.token("refresh_token", refresh_token=second, scope="compute.read", audience="https://a https://b")
    assert (status, claims(narrow["access_token"])["aud"], narrow["scope"]) == (200, ["https://a", "https://b"], "compute.read")
    assert again.token("refresh_token", refresh_token=narrow["refresh_token"])[1]["scope"] == WISH
    assert again.token("refresh_token", "verify-short", refresh_token=narrow["refresh_token"])[0] == 400
    monkeypatch.setattr("devel_iam.store.RETRY_WINDOW", -1)
    assert again.token("refresh_token", refresh_token=first)[0] == 400
    assert again.token("refresh_token", refresh_token=narrow["refresh_token"])[0] == 400


def test_no_refresh_token_without_offline_access(app: Iam) -> None:
    assert "refresh_token" not in app.login(scope="openid compute.read")


def test_scopes_and_audiences_are_what_was_asked_and_allowed(app: Iam) -> None:
    tokens = app.login(scope="compute.read storage.read:/cms storage.modify:/ root", audience="https://pool-ap.here.internal")
    assert tokens["scope"] == "compute.read storage.read:/cms"
    assert claims(tokens["access_token"])["aud"] == "https://pool-ap.here.internal"
    assert "id_token" not in tokens and "groups" not in claims(tokens["access_token"])
    itself = app.token("client_credentials", scope="compute.read storage.modify:/", resource="https://cache")[1]
    assert (claims(itself["access_token"])["sub"], itself["scope"]) == ("verify", "compute.read")


def test_exchange_narrows_a_token_and_takes_no_other(app: Iam) -> None:
    kind = {"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    tokens = app.login(scope="openid storage.read:/")
    form = {"subject_token": tokens["access_token"], "scope": "storage.read:/cms compute.read", "audience": "https://cache", **kind}
    status, narrow = app.token(EXCHANGE, **form)
    made = claims(narrow["access_token"])
    assert (status, made["scope"], made["aud"], made["sub"]) == (200, "storage.read:/cms", "https://cache", iam.subject(ISSUER, "alice"))
    assert app.token(EXCHANGE, subject_token=tokens["id_token"], **kind)[0] == 400


def test_forged_and_expired_tokens_are_refused(app: Iam, monkeypatch: pytest.MonkeyPatch) -> None:
    token = app.login()["access_token"]
    header, body = jwt.get_unverified_header(token), claims(token)
    key = app.secret("signing-key.pem")
    assert app.userinfo(jwt.encode(body, key, "RS256", header)) == 200
    forgeries = [
        jwt.encode(body, pki.rsa_key(), "RS256", header),
        jwt.encode(body, None, "none", {"typ": "at+jwt"}),
        jwt.encode(body | {"exp": body["iat"] - 3600}, key, "RS256", header),
        jwt.encode(body | {"iss": "https://iam.other.internal:8443"}, key, "RS256", header),
        jwt.encode(body, key, "RS256", header | {"typ": "JWT"}),
        "rubbish",
        "",
    ]
    assert [app.userinfo(forgery) for forgery in forgeries] == [401] * len(forgeries)


def test_introspection_wants_a_client(app: Iam) -> None:
    form = {"token": app.login()["access_token"]}
    ask: dict[str, Any] = {"data": form, "base_url": ISSUER}
    assert app.browser.post("/introspect", **ask).status_code == 401
    good = ("verify", app.secret("client-verify"))
    assert app.browser.post("/introspect", auth=good, **ask).get_json()["active"] is True
    assert app.browser.post("/introspect", auth=good, data={"token": "x"}, base_url=ISSUER).get_json() == {"active": False}


@pytest.mark.parametrize(
    ("allowed", "asked", "covered"),
    [
        ("compute.read", "compute.read", True),
        ("compute.read", "compute.create", False),
        ("storage.read:/", "storage.read:/", True),
        ("storage.read:/", "storage.read:/cms/file", True),
        ("storage.read:/cms", "storage.read:/cms/file", True),
        ("storage.read:/cms", "storage.read:/cms2", False),
        ("storage.read:/cms", "storage.read:/cms/../atlas", False),
        ("storage.read:/", "storage.modify:/", False),
        ("storage.read:/", "storage.read", False),
    ],
)
def test_a_storage_scope_covers_the_paths_below(allowed: str, asked: str, covered: bool) -> None:
    assert scopes.covers(allowed, asked) is covered
