"""The user's credential at the pool's access point: what running jobs find as ``$_CONDOR_CREDS/iam.use``."""

from __future__ import annotations

import json
import os
from typing import Any

from cantiere_notebook.tokens import token

SERVICE = "iam"
"""Name of the credential; a job asks for it with ``use_oauth_services = iam``."""


def store_credential() -> None:
    """Hand the token to the access point, which brings it to the user's jobs.

    Once it was stored, every renewed token is handed over too, and jobs that are running get it.

    Raises
    ------
    RuntimeError
        The facility has no pool, or the access point refuses.
    """
    import htcondor2

    content = json.dumps({"access_token": token()}).encode()
    try:
        _credd().add_user_service_cred(htcondor2.CredType.OAuth, content, SERVICE)
    except htcondor2.HTCondorException as error:
        raise RuntimeError(f"the access point does not take the credential: {error}") from error


def renew() -> bool:
    """Store the present token where one was stored before.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    RuntimeError
        The access point refuses, or cannot be reached.
    """
    if "CANTIERE_POOL_SCHEDD" not in os.environ:
        return False
    import htcondor2

    try:
        stored = _credd().query_user_service_cred(htcondor2.CredType.OAuth, SERVICE)
    except htcondor2.HTCondorException as error:
        raise RuntimeError(f"the access point does not answer: {error}") from error
    if not stored:
        return False
    store_credential()
    return True


def _credd() -> Any:
    if "CANTIERE_POOL_SCHEDD" not in os.environ:
        raise RuntimeError("this facility has no pool")
    import htcondor2

    collector = htcondor2.Collector(os.environ["CANTIERE_POOL_COLLECTOR"])
    return htcondor2.Credd(collector.locate(htcondor2.DaemonType.Credd, os.environ["CANTIERE_POOL_SCHEDD"]))


if __name__ == "__main__":
    renew()
