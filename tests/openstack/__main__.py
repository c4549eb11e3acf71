"""``python -m tests.openstack up|down|status|env|stop|start``: a real OpenStack on this machine."""

from __future__ import annotations

import argparse
import json
import sys

from cantiere.errors import CantiereError
from tests.openstack import bed
from tests.openstack.layout import CLOUDS, COMPUTE


def main() -> int:
    """Do what the command line asks for.

    Returns
    -------
    int
        0; 1 where it failed, or ``status`` finds no bed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.openstack", description="A real OpenStack on this machine; needs root.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start it; the first time it is made from packages")
    up.add_argument("--compute", choices=COMPUTE, default=COMPUTE[0], help="what servers are: nothing, or system containers")
    up.add_argument("--nodes", type=int, default=bed.NODES, help="over how many nodes servers that are nothing are spread (%(default)s)")
    verbs.add_parser("down", help="end it, and remove all but what the next start uses")
    verbs.add_parser("status", help="whether it is up")
    verbs.add_parser("env", help="lines for a shell that name its clouds.yaml")
    for verb, what in (("stop", "kill one of its services, as a fault"), ("start", "start a service again")):
        verbs.add_parser(verb, help=what).add_argument("service")
    options = parser.parse_args()
    try:
        if options.verb == "up":
            bed.up(options.compute, lambda line: print(line, flush=True), options.nodes)
        elif options.verb == "down":
            bed.down()
        elif options.verb in ("stop", "start"):
            bed.service(options.verb, options.service)
        elif options.verb == "env":
            print(f"export OS_CLIENT_CONFIG_FILE={CLOUDS} OS_CLOUD=testbed")
        else:
            state = bed.status()
            print(json.dumps(state))
            return 0 if state["up"] else 1
    except CantiereError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
