"""Machines by hand: ``python -m cantiere.providers.nspawn up one two --folder /var/lib/cantiere/try``."""

from __future__ import annotations

import argparse
import json
import sys

from cantiere.errors import CantiereError
from cantiere.providers.nspawn import rim


def main() -> int:
    """Make machines, remove them, or tell where they are."""
    parser = argparse.ArgumentParser(prog="python -m cantiere.providers.nspawn", description="System containers as machines, by hand.")
    parser.add_argument("do", choices=["up", "down", "list", "answer"], help="answer: JSON in, JSON out, for the Ansible module")
    parser.add_argument("names", nargs="*", help="machines; down without names removes all")
    parser.add_argument("--folder", help="state folder of these machines")
    parser.add_argument("--prefix", help="prefix of the names on the host; by default the folder's name")
    parser.add_argument(
        "--subnet", default="", help="their network in CIDR notation; by default one of 10.142.0.0/16 that depends on the prefix"
    )
    parser.add_argument("--image", default="machine", help="machine image of artifacts.yaml (default: %(default)s)")
    parser.add_argument("--shared", action="append", default=[], help="host folder that every machine sees; may be given again")
    given = parser.parse_args()
    if given.do == "answer":
        print(json.dumps(rim.answer_to(json.load(sys.stdin))))
        return 0
    if not given.folder:
        parser.error("--folder is needed")
    parameters = {**vars(given), "machines": [{"name": name} for name in given.names]}
    try:
        if given.do == "up":
            rim.present(parameters, given.names, lambda line: print(line, file=sys.stderr))
        if given.do == "down":
            print("\n".join(rim.absent(parameters, given.names, check=False)))
            return 0
        for machine in rim.reached(parameters):
            print(f"{machine['name']}\t{machine['address']}\tssh -F {machine['ssh_config']} {machine['name']}")
    except CantiereError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
