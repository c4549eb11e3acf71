"""Steps that try tokens which must not work: forged, expired, for another audience, without the scope."""

from __future__ import annotations

import time
from collections.abc import Mapping

import boto3
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cantiere.verify.result import StepFailed, require
from cantiere.verify.session import Session
from cantiere.verify.tokens import FOREIGN_AUDIENCE, claims, forge

SAMPLE = "samples/nano_dy.root"
STORAGE_SCOPE = "wlcg.groups storage.read:/"
COMPUTE_SCOPE = "wlcg.groups compute.read compute.create compute.modify compute.cancel"
SKEW = 2.0


def cache_by_root(session: Session) -> str:
    """The site cache refuses bad tokens by the XRootD protocol."""
    tokens = _tokens(session, missing=COMPUTE_SCOPE)
    results = session.kernel(session.member()).call(f"probe.attempts('read', {SAMPLE!r}, {tokens!r})", 90)
    return _judge({name: (bool(result["accepted"]), str(result["message"])) for name, result in results.items()})


def cache_by_https(session: Session) -> str:
    """The site cache refuses bad tokens by https."""
    target, results = session.target, {}
    url = f"{target.https(target.cache, target.servers(target.cache)[0])}/{SAMPLE}"
    for name, token in {**_tokens(session, missing=COMPUTE_SCOPE), "no token": ""}.items():
        headers = {"Range": "bytes=0-3"} | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = requests.get(url, headers=headers, verify=str(target.ca), timeout=30)
        results[name] = (answer.status_code in (200, 206), f"HTTP {answer.status_code}")
    return _judge(results)


def pool(session: Session) -> str:
    """The access point refuses to take jobs with bad tokens."""
    kernel, tokens = session.kernel(session.member()), _tokens(session, missing=STORAGE_SCOPE)
    results = kernel.call(f"probe.attempts('submit', probe.access_point(), {tokens!r})", 90)
    return _judge({name: (bool(result["accepted"]), str(result["message"])) for name, result in results.items()})


def store(session: Session) -> str:
    """The object store gives no keys for bad tokens (signature, expiry, audience: what its protocol can see)."""
    target, results = session.target, {}
    sts = boto3.client(
        "sts",
        endpoint_url=target.store_url,
        region_name="us-east-1",
        verify=str(target.ca),
        config=Config(signature_version=UNSIGNED, proxies={}, retries={"total_max_attempts": 1}),
    )
    for name, token in _tokens(session).items():
        try:
            sts.assume_role_with_web_identity(RoleArn=target.role_arn, RoleSessionName=session.mark, WebIdentityToken=token)
            results[name] = (True, "keys given")
        except ClientError as error:
            results[name] = (False, str(error.response["Error"]["Message"]))
    return _judge(results)


def _tokens(session: Session, missing: str = "") -> dict[str, str]:
    """A good token of a member, and bad ones made from it.

    Parameters
    ----------
    missing:
        Scopes of the token that lacks what the service asks for; empty where a service does not look at scopes.
    """
    name = session.member()
    good = session.token(name)
    expired = session.short_token(name)
    tokens = {
        "good": good,
        "forged": forge(good),
        "expired": expired,
        "wrong audience": session.exchange(good, audience=FOREIGN_AUDIENCE),
    }
    if missing:
        tokens["wrong scope"] = session.exchange(good, scope=missing)
    time.sleep(max(0.0, float(claims(expired)["exp"]) + SKEW - time.time()))
    return tokens


def _judge(results: Mapping[str, tuple[bool, str]]) -> str:
    """Evidence that the good token was accepted and every other one refused.

    Raises
    ------
    StepFailed
        One was not.
    """
    good, why = results["good"]
    require(good, f"even the good token is refused: {why}", "see the service's logs")
    accepted = [name for name, (taken, _) in results.items() if taken and name != "good"]
    if accepted:
        raise StepFailed(
            f"accepted a token that is {', '.join(accepted)}", "check issuers, audiences and scopes in the service's configuration"
        )
    refused = "; ".join(f"{name}: {message[-70:]}" for name, (_, message) in results.items() if name != "good")
    return f"good token accepted; refused: {refused}"
