"""Become a worker of Dask in a pod: trust the facility, then work; options are those of ``dask worker``."""

from __future__ import annotations

import os
import sys

from cantiere_notebook.trust import trust


def main() -> None:
    """Replace this process by the worker."""
    if "CANTIERE_CA" in os.environ:
        trust()
    os.execv(sys.executable, [sys.executable, "-m", "distributed.cli.dask_worker", *sys.argv[1:]])


if __name__ == "__main__":
    main()
