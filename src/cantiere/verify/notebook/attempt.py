"""One attempt with the token that BEARER_TOKEN_FILE names; ends badly when it is refused.

Arguments: ``read`` and a file's path, or ``submit`` and an access point's ad.
"""

from __future__ import annotations

import os
import sys


def read(path: str) -> None:
    """Read the first bytes of a file through the site cache.

    Raises
    ------
    SystemExit
        The cache refuses.
    """
    from XRootD import client
    from XRootD.client.flags import OpenFlags

    file = client.File()
    status, _ = file.open(f"{os.environ['CANTIERE_SITE_CACHE']}//store/{path}", OpenFlags.READ, timeout=20)
    if status.ok:
        status, _ = file.read(0, 4, timeout=20)
        file.close()
    if not status.ok:
        raise SystemExit(status.message.strip())


def submit(ad: str) -> None:
    """Put a job on hold into the queue, and take it out again.

    Raises
    ------
    SystemExit
        The access point refuses.
    """
    import classad2
    import htcondor2

    queue = htcondor2.Schedd(classad2.parseOne(ad))
    description = htcondor2.Submit({"executable": "/bin/true", "transfer_executable": "false", "hold": "true"})
    try:
        result = queue.submit(description, count=1)
    except htcondor2.HTCondorException as error:
        raise SystemExit(str(error)) from error
    queue.act(htcondor2.JobAction.Remove, f"ClusterId == {result.cluster()}")


if __name__ == "__main__":
    {"read": read, "submit": submit}[sys.argv[1]](sys.argv[2])
