"""Pods that this notebook may make for its user's computations: whose they are, and an end to those of an earlier notebook."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import ssl
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from cantiere_notebook import tokens

API = "https://kubernetes.default.svc"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""The pod's service account: ``token`` and ``ca.crt``."""
OWNER = "cantiere.io/owner"
"""Label of the pods with their user's name."""
REQUEST_TIMEOUT = 20.0

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


def tidy() -> None:
    """Remove the user's pods: those of a notebook that ended before it could remove them itself.

    Raises
    ------
    OSError
        The API server cannot be reached, or refuses.
    """
    query = urllib.parse.urlencode({"labelSelector": f"{OWNER}={owner()}"})
    token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
    url = f"{API}/api/v1/namespaces/{namespace()}/pods?{query}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"}, method="DELETE")
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT, context=trusted).close()


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
