"""Faults of a cloud: which of them pass, and what to say of those that stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from requests import ConnectionError as Dropped
from requests import RequestException, Timeout

from cantiere.errors import CantiereError, Problem
from cantiere.providers.base import Log

Answer = TypeVar("Answer")
FAULTS = (sdk.SDKException, keystone.ClientException, RequestException)
"""All that the SDK raises: a connection that fails is none of its own exceptions."""
DROPPED = (
    keystone.RetriableConnectionFailure,
    keystone.UnknownConnectionError,
    keystone.DiscoveryFailure,
    sdk.NotSupported,
    sdk.ServiceDiscoveryException,
    Dropped,
    Timeout,
)
"""No connection, no answer in time, or half of one; or none when the SDK asked the service which versions it has, at the first call."""
PASSING = frozenset({429, 500, 502, 503, 504})
TOO_LARGE = 413  # also how older services say "too many requests"
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between tries, where the service does not say how long."""
LONGEST_CONFLICT = 8.0
"""Up to this pause a 409 is tried again too: what holds an object is often being removed itself."""
LONGEST_WAIT = 120.0
"""Seconds that one request waits for all its tries; a service that asks for more is not waited for."""
QUOTA = ("quota", "exceeded allowed", "limit exceeded")
TOLD = 600

REMEDIES = {
    "openstack.auth": "look at the cloud's entry in clouds.yaml: `openstack --os-cloud NAME token issue` has to succeed",
    "openstack.cloud": "name a cloud of ~/.config/openstack/clouds.yaml, /etc/openstack/clouds.yaml or $OS_CLIENT_CONFIG_FILE",
    "openstack.unreachable": "check the address in clouds.yaml, the network and the firewall, then run again: it goes on from there",
    "openstack.service": "it is the cloud's to mend; run again when it answers: it goes on from there",
    "openstack.rate": "wait a while and run again: it goes on from there",
    "openstack.quota": "ask the cloud for more, free some (`openstack quota show --usage`), or plan for less; then run again",
    "openstack.rights": "ask the project's owner for a role that may do this (usually `member`), or use other credentials",
    "openstack.conflict": "see what holds it, remove that, and run again",
    "openstack.duplicate": "rename or remove one of them, or name it by its identifier",
    "openstack.request": "mend in the site's file what it names, then run again",
    "openstack.missing": "it may have been removed meanwhile; run again",
    "openstack.slow": "look at it in the cloud's dashboard; run again: it goes on from there",
    "openstack.fault": "read what it says, mend it, and run again: it goes on from there",
}


def status_of(error: Exception) -> int:
    """Status of the answer that an exception stands for, or 0."""
    return int(getattr(error, "status_code", None) or getattr(error, "http_status", None) or 0)


def code_of(error: Exception) -> str:
    """The code of the problem that an exception is."""
    status, text = status_of(error), str(error).lower()
    if isinstance(error, sdk.ConfigException):
        return "openstack.cloud"
    if isinstance(error, sdk.DuplicateResource):
        return "openstack.duplicate"
    if isinstance(error, sdk.ResourceTimeout):
        return "openstack.slow"
    if isinstance(error, DROPPED) or "unable to establish" in text:
        return "openstack.unreachable"
    if status == 401 or "fernet token" in text or isinstance(error, keystone.AuthPluginException):
        return "openstack.auth"
    if status in (403, 409, TOO_LARGE) and any(word in text.replace("_", " ") for word in QUOTA):
        return "openstack.quota"
    by_status = {
        400: "openstack.request",
        403: "openstack.rights",
        404: "openstack.missing",
        409: "openstack.conflict",
        TOO_LARGE: "openstack.rate",
        429: "openstack.rate",
    }
    if "could not find application credential" in text or (not status and "requires authentication" in text):
        return "openstack.auth"
    return "openstack.service" if status >= 500 else by_status.get(status, "openstack.fault")


def problem(error: Exception, doing: str, path: str) -> Problem:
    """What an exception says, as a problem.

    Parameters
    ----------
    error:
        The exception.
    doing:
        What was being done, ``to make the server control-1``.
    path:
        The object's name.
    """
    code = code_of(error)
    said = " ".join(str(error).split())[:TOLD]
    failed = "does not answer when asked" if code == "openstack.unreachable" else "refuses"
    wait = asked_to_wait(error) if code == "openstack.rate" else None
    return Problem(
        code, f"the cloud {failed} {doing}: {said}{f' (it asks to wait {wait:.0f} s)' if wait else ''}", REMEDIES[code], path=path
    )


def slow(item: Any, seconds: float, path: str) -> CantiereError:
    """What to say of an object, as the SDK shows it, that is not as it was asked to be after so many seconds."""
    message = f"{item.name} is {item.status} after {seconds:.0f} s"
    return CantiereError(Problem("openstack.slow", message, REMEDIES["openstack.slow"], path=path))


def pause_after(error: Exception, usual: float | None, left: float) -> float | None:
    """Seconds to wait before another try; None where it would not help, or there is none.

    Parameters
    ----------
    error:
        What the last try ended in.
    usual:
        Seconds where the service does not say how long; None after the last try.
    left:
        Seconds that may still be waited.
    """
    status, asked = status_of(error), asked_to_wait(error)
    limited = status == TOO_LARGE and asked is not None and code_of(error) != "openstack.quota"
    held = code_of(error) == "openstack.conflict" and usual is not None and usual <= LONGEST_CONFLICT
    # of threads whose token ended at the same time, the SDK logs in again for one; where no log-in helps, it raises another exception
    ended = status == 401 and isinstance(error, sdk.HttpException) and usual in PAUSES[:1]
    pause = usual if usual is None or asked is None else asked
    if pause is None or pause > left or not (status in PASSING or limited or held or ended or isinstance(error, DROPPED)):
        return None
    return pause


def asked_to_wait(error: Exception) -> float | None:
    """Seconds that the service asks to wait: a number, or until a date; None where it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = str(headers.get("Retry-After") or headers.get("retry-after") or "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(parsedate_to_datetime(asked).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def maybe(call: Callable[[], Answer]) -> Answer | None:
    """What a call finds, or None where the cloud says that there is none."""
    try:
        return call()
    except (sdk.NotFoundException, keystone.NotFound) as error:
        if code_of(error) != "openstack.missing":
            raise
        return None


def patiently(call: Callable[[], Answer], doing: str, path: str, tell: Log) -> Answer:
    """Do what can be done again: calls that fail for a while are tried again, a bounded number of times and a bounded time.

    Parameters
    ----------
    call:
        Looks for what it is to make before it makes it, because the answer to a request may be lost.
    doing, path:
        See :func:`problem`.
    tell:
        Takes a line before each wait.

    Raises
    ------
    CantiereError
        The fault stays, or is not one that passes.
    """
    left = LONGEST_WAIT
    for number, usual in enumerate((*PAUSES, None), 1):
        try:
            return call()
        except FAULTS as error:
            pause = pause_after(error, usual, left)
            if pause is None:
                raise CantiereError(problem(error, doing, path)) from error
            said = f"the cloud answers {status_of(error)}" if status_of(error) else "the cloud does not answer"
            tell(f"{path}: asked {doing}, {said}; again in {pause:.0f} s ({number} of {len(PAUSES)})")
            left -= pause
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")
