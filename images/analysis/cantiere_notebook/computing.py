"""Pods that this notebook may make for its user's computations: whose they are, and an end to those of an earlier notebook."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cantiere_notebook import tokens

API = "https://kubernetes.default.svc"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""The pod's service account: ``token`` and ``ca.crt``."""
OWNER = "cantiere.io/owner"
"""Label of the pods with their user's name."""
REQUEST_TIMEOUT = 20.0
ACCOUNT_ID = 1000
"""Whom the pods run as."""

CARRIED = (
    "AWS_CA_BUNDLE BEARER_TOKEN_FILE CANTIERE_CA CANTIERE_SITE_CACHE REQUESTS_CA_BUNDLE S3_BUCKET S3_ENDPOINT S3_ROLE_ARN SSL_CERT_FILE "
    "X509_CERT_DIR"
).split()
"""Variables by which the pods find the facility's services as the notebook does; none is secret."""
CARRIED_PREFIX = "XRD_"

P = ParamSpec("P")
R = TypeVar("R")


def namespace() -> str:
    """Where the pods go; ``""`` in a notebook that makes none."""
    return os.environ.get("CANTIERE_COMPUTE_NAMESPACE", "")


def owner() -> str:
    """Name of the user as a label may say it: other signs than a label's give way to a digest of the whole name."""
    user = os.environ["JUPYTERHUB_USER"]
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", user):
        return user
    plain = re.sub("[^A-Za-z0-9]+", "-", user).strip("-")[:50]
    return f"{plain}-{hashlib.sha256(user.encode()).hexdigest()[:8]}".lstrip("-")


def address() -> str:
    """Address of this notebook, at which the pods find it."""
    return socket.gethostbyname(socket.gethostname())


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that go along to the pods."""
    return {key: value for key, value in sorted(environment.items()) if key in CARRIED or key.startswith(CARRIED_PREFIX)}


def specification(container: Mapping[str, Any]) -> dict[str, Any]:
    """What is in a pod with this container, as the security level ``restricted`` asks for it; it has no account."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ACCOUNT_ID,
            "runAsGroup": ACCOUNT_ID,
            "fsGroup": ACCOUNT_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{**container, "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}],
    }


def ask(method: str, name: str = "", selector: str = "", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask the API server for something about the pods of the namespace.

    Parameters
    ----------
    method:
        Of HTTP.
    name:
        Of one pod; ``""`` is all of them.
    selector:
        Labels of those that are meant.
    body:
        What is to be there.

    Raises
    ------
    OSError
        The API server cannot be reached, or refuses.
    """
    token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
    query = f"?{urllib.parse.urlencode({'labelSelector': selector})}" if selector else ""
    url = f"{API}/api/v1/namespaces/{namespace()}/pods{'/' if name else ''}{name}{query}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT, context=trusted) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise OSError(f"the API server answers HTTP {error.code}: {tokens.message(error)}") from error
    return found


def tidy() -> None:
    """Remove the user's pods: those of a notebook that ended before it could remove them itself.

    Raises
    ------
    OSError
        The API server cannot be reached, or refuses.
    """
    ask("DELETE", selector=f"{OWNER}={owner()}")


def with_token(function: Callable[P, R]) -> Callable[P, R]:
    """A function that finds the user's present token where it runs, in a pod of the computation as in the notebook.

    The token travels with the function, over the encrypted connection to the pod, and is kept in the file that ``BEARER_TOKEN_FILE``
    names there.
    """
    value = tokens.token()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        tokens.keep(tokens.AccessToken(value, 0.0))
        return function(*args, **kwargs)

    return carried
