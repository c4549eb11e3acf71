"""Become a notebook server: trust the facility, have a token, keep it fresh, then serve."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from cantiere_notebook import agent, computing, extensions, spark, tokens
from cantiere_notebook.trust import trust

FIRST_TOKEN_SECONDS = 20.0


def first_token() -> None:
    """Have a token in place before anything of the user runs.

    Raises
    ------
    SystemExit
        The hub gives none.
    """
    deadline = time.monotonic() + FIRST_TOKEN_SECONDS
    while True:
        try:
            tokens.keep(tokens.ask())
            return
        except (OSError, ValueError, KeyError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"the hub gives no token: {error}; log out, log in and start the server again") from error
            time.sleep(1)


def compute() -> None:
    """Have Spark find its executors' place, in a notebook that may make pods; what an earlier one left there goes."""
    if not computing.namespace():
        return
    try:
        computing.tidy()
    except OSError as error:
        print(f"pods of an earlier notebook may still be there: {error}", file=sys.stderr, flush=True)
    if "SPARK_HOME" in os.environ:
        spark.prepare(Path(os.environ["BEARER_TOKEN_FILE"]).parent / "spark")


def main() -> None:
    """Replace this process by ``jupyterhub-singleuser`` with the arguments given; the keeper runs beside it."""
    binaries = Path(sys.executable).parent
    os.environ["PATH"] = f"{binaries}:{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    trust()
    agent.introduce()
    extensions.settle()
    first_token()
    compute()
    subprocess.Popen([sys.executable, "-m", "cantiere_notebook.keeper"])
    os.execv(binaries / "jupyterhub-singleuser", ["jupyterhub-singleuser", *sys.argv[1:]])
