"""The command line: what each verb takes. What each does is in :mod:`cantiere.verbs`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cantiere.errors import CantiereError, Problem
from cantiere.telling import warn

EXIT_CODES = """exit codes:
  0 done   1 the run failed   2 usage   3 template or inputs invalid   4 preflight refused, nothing touched
  5 changes or drift found (plan --exit-code)   6 up, without machines that may vanish and cannot be made now"""
USAGE = 2


class Parser(argparse.ArgumentParser):
    """Shows the examples of a verb as they are written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with code 2."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"error: {message}\n    remedy: see `{self.prog} --help`\n")


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="cantiere",
        description="From one TOSCA template to a running scientific analysis facility.",
        epilog=f"`cantiere test` runs the project's own checks and tests, see `cantiere test --help`\n\n{EXIT_CODES}",
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, text: str, example: str, *, template: bool = False, site: bool = True, machine: bool = True) -> Parser:
        made: Parser = verbs.add_parser(name, help=text, description=text, epilog=f"examples:\n{example}\n\n{EXIT_CODES}")
        if template:
            _template(made, of_site=True)
        if site:
            made.add_argument("--site", default="here", metavar="SITE", help="a site's name or its cantiere.yml (default: here)")
        if machine:
            made.add_argument("--json", action="store_true", help="write the result as JSON")
        return made

    validate = verb(
        "validate",
        "Check a template and its inputs; needs no root, no network, no Ansible.",
        "  cantiere validate tosca/templates/facility.yaml --input workers=4",
        site=False,
    )
    _template(validate)

    plan = verb(
        "plan", "Show what `up` would do, and why.", "  cantiere plan --input workers=4\n  cantiere plan --exit-code", template=True
    )
    plan.add_argument("--exit-code", action="store_true", help="end with 5 where there is something to do")
    verb("explain", "Tell every step of the plan with what it waits for.", "  cantiere explain --input workers=4", template=True)
    values = verb(
        "values",
        "Show the Helm values of a release and where each comes from, or list the releases.",
        "  cantiere values --site nspawn\n  cantiere values --site nspawn pool --why\n"
        "  cantiere values --placeholder tosca/templates/facility.yaml pool",
        template=True,
    )
    values.add_argument("release", nargs="?", metavar="RELEASE", help="which; without it all releases are listed")
    values.add_argument("--why", action="store_true", help="tell which facts each value comes from")
    values.add_argument("--placeholder", action="store_true", help="do not ask the cluster: take placeholders for its facts")
    graph = verb(
        "graph",
        "Draw the topology, or the plan, as SVG.",
        "  cantiere graph > facility.svg\n  cantiere graph --plan -o plan.svg",
        template=True,
        machine=False,
    )
    graph.add_argument("--plan", action="store_true", help="draw the plan in place of the topology")
    graph.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there in place of standard output")
    up = verb(
        "up",
        "Raise the facility, or make it again what the template asks for.",
        "  cantiere up\n  cantiere up --input workers=4\n  cantiere up my-facility.yaml --inputs my-inputs.yml\n"
        "  cantiere up --site nspawn --replace control-2",
        template=True,
    )
    up.add_argument("--replace", action="append", default=[], metavar="MACHINE", help="make this machine anew, for example a dead one")
    run = verb(
        "run",
        "Run a workflow of the template: its steps in order, scripts and playbooks of its operations among them.",
        "  cantiere run backup\n  cantiere run backup --plan\n  cantiere run restore my-facility.yaml --input archive=/srv/backup.tar",
    )
    run.add_argument("workflow", metavar="WORKFLOW", help="a workflow of the template")
    _template(run, of_site=True)
    run.add_argument("--plan", action="store_true", help="tell its steps with what each waits for, and do none")
    scale = verb(
        "scale",
        "Give pools of machines more or fewer of them, within the limits of the template.",
        "  cantiere scale --site nspawn worker=3\n  cantiere scale --site nspawn --remove worker-1\n"
        "  cantiere scale --site nspawn --auto\n  cantiere scale --site nspawn --auto --every 60",
    )
    scale.add_argument("pools", nargs="*", metavar="POOL=NUMBER", help="how many machines a pool gets")
    scale.add_argument("--remove", action="append", default=[], metavar="MACHINE", help="this one leaves, the others keep their names")
    scale.add_argument("--auto", action="store_true", help="decide by the pods that wait for a place and the machines that idle")
    scale.add_argument("--every", type=float, default=0.0, metavar="SECONDS", help="with --auto: again and again, with this pause")
    verb("status", "Show what is up, and what has drifted.", "  cantiere status\n  cantiere status --json")
    verify = verb(
        "verify",
        "Use the facility as a physicist does, and tell whether it works.",
        "  cantiere verify\n  cantiere verify --only login --only spawn\n  cantiere verify --json",
    )
    verify.add_argument("--only", action="append", default=[], metavar="STEP", help="only this step and those it needs")
    down = verb(
        "down",
        "Take the facility down: everything it made, and nothing else.",
        "  cantiere down\n  cantiere down --images\n  cantiere down --site openstack --from-tags",
    )
    down.add_argument("--images", action="store_true", help="remove the built images and the sample data too")
    down.add_argument("--from-tags", action="store_true", help="where the state is lost, find what is up by the marks of its objects")
    verb("inventory", "Show the machines of a site.", "  cantiere inventory --json")
    logs = verb(
        "logs",
        "Show the log of a service or of one of its containers.",
        "  cantiere logs pool\n  cantiere logs site-cache --follow",
        machine=False,
    )
    logs.add_argument("service", metavar="SERVICE", help="a node of the template, or a container")
    logs.add_argument("--tail", type=int, default=100, metavar="LINES", help="last lines of each container (default: 100)")
    logs.add_argument("--follow", action="store_true", help="go on showing new lines")
    shell = verb(
        "exec", "Run a command inside a service.", "  cantiere exec pool-ap condor_q -allusers\n  cantiere exec hub", machine=False
    )
    shell.add_argument("service", metavar="SERVICE", help="a container, or a node with one container")
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="without it a shell")
    ssh = verb(
        "ssh",
        "Open a shell on a machine of the site, or run a command there.",
        "  cantiere ssh here\n  cantiere ssh --site nspawn worker-1 uptime",
        machine=False,
    )
    ssh.add_argument("machine", metavar="MACHINE", help="a machine of `cantiere inventory`")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="without it a shell")
    taken = verb(
        "import",
        "Take a floating IP or a data volume that the project has already into the facility.",
        "  cantiere import --site openstack control-1 198.51.100.7\n"
        "  cantiere import --site openstack storage-1 0c3d6a54-3a53-4cf0-a9d2-4f6c52b8f1a7",
    )
    taken.add_argument("machine", metavar="MACHINE", help="the machine that gets it")
    taken.add_argument("resource", metavar="RESOURCE", help="address of the floating IP, or identifier of the volume")
    kubectl = verb("kubectl", "Ask the site's cluster.", "  cantiere kubectl --site nspawn get nodes -o wide", machine=False)
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="what kubectl takes")
    helmfile = verb(
        "helmfile",
        "Write the releases of a facility on a cluster as a helmfile that works without us.",
        "  cantiere helmfile /srv/facility --site existing\n  cd /srv/facility && helmfile sync",
        machine=False,
    )
    helmfile.add_argument("folder", type=Path, metavar="DIR", help="folder that takes helmfile.yaml, values, charts and a README")
    _template(helmfile, of_site=True)
    secrets = verb(
        "secrets", "Show a generated secret, or list their names.", "  cantiere secrets list\n  cantiere secrets show iam-user-alice"
    )
    secrets.add_argument("action", choices=["list", "show"], help="list names, or show one value")
    secrets.add_argument("name", nargs="?", metavar="NAME", help="which secret")
    secrets.add_argument("--part", metavar="PART", help="one part of it: value, certificate or key (default: value or certificate)")
    mirror = verb(
        "mirror",
        "Fill, check or offer a bundle of all artifacts, for sites without a way out.",
        "  cantiere mirror pull /srv/cantiere --arch amd64 --arch arm64\n  cantiere mirror verify /srv/cantiere\n"
        "  cantiere mirror serve /srv/cantiere --port 8480",
    )
    mirror.add_argument("action", choices=["pull", "verify", "serve"], help="fill it, check every file, or offer it to a site's machines")
    mirror.add_argument("folder", type=Path, metavar="DIR", help="where the bundle is")
    mirror.add_argument("--arch", action="append", choices=["amd64", "arm64"], help="architecture to pull (default: this machine's own)")
    mirror.add_argument("--port", type=int, default=8480, help="TCP port to serve on (default: 8480)")
    mirror.add_argument("--bind", default="", metavar="ADDRESS", help="address to serve on (default: all of this machine)")
    _authoring(verb)
    completion = verb(
        "completion",
        "Print a completion script for a shell.",
        "  cantiere completion bash > /etc/bash_completion.d/cantiere",
        site=False,
        machine=False,
    )
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="which shell")
    return top


def _template(verb: Parser, *, of_site: bool = False) -> None:
    """The template of a verb and its inputs; those of the site where none are named, if it has one."""
    own = "; without it the site's own" if of_site else ""
    verb.add_argument("template", nargs="?" if of_site else None, type=Path, metavar="TEMPLATE", help=f"service template{own}")
    verb.add_argument("--inputs", type=Path, metavar="FILE", help=f"inputs file (YAML mapping){own}")
    verb.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="one input, on top of the file; VALUE is YAML")


def _authoring(verb: Callable[..., Parser]) -> None:
    """Verbs for those who write templates, or offer them to others."""
    portfolio = verb(
        "portfolio",
        "Write templates into the portfolio of an INFN-Cloud style dashboard, or check anybody's portfolio.",
        "  cantiere portfolio build /srv/portfolio\n  cantiere portfolio build /srv/portfolio my-facility.yaml --group cms\n"
        "  cantiere portfolio check /srv/portfolio",
        site=False,
    )
    portfolio.add_argument("action", choices=["build", "check"], help="write the artefacts of templates, or tell what breaks the dashboard")
    portfolio.add_argument("folder", type=Path, metavar="DIR", help="holds tosca-templates, tosca-parameters and tosca-metadata")
    portfolio.add_argument(
        "templates", nargs="*", type=Path, metavar="TEMPLATE", help="which to build; without any those of tosca/templates"
    )
    portfolio.add_argument("--group", action="append", default=[], metavar="GROUP", help="a group that sees them (default: all)")
    form = verb(
        "form",
        "Ask the inputs of a template in the terminal, and write an inputs file.",
        "  cantiere form tosca/templates/facility.yaml\n  cantiere form my-facility.yaml -o my-inputs.yml\n"
        "  cantiere up my-facility.yaml --inputs my-inputs.yml",
        site=False,
        machine=False,
    )
    form.add_argument("template", type=Path, metavar="TEMPLATE", help="service template")
    form.add_argument("-o", "--output", type=Path, metavar="FILE", help="inputs file (default: TEMPLATE-inputs.yml in this folder)")
    export = verb(
        "export",
        "Write a template as others read it: a CSAR, TOSCA 1.0 for an INDIGO orchestrator, or the facility as JSON.",
        "  cantiere export my-facility.yaml --csar my-facility.csar\n  cantiere export my-facility.yaml --tosca-1.0 my-facility-1.0.yaml\n"
        "  cantiere export my-facility.yaml --inputs my-inputs.yml --json - | jq .nodes",
        site=False,
        machine=False,
    )
    _template(export)
    export.add_argument("--csar", metavar="FILE", help="the template and all that it names in one archive; - is standard output")
    export.add_argument("--tosca-1.0", dest="simple", metavar="FILE", help="one file of TOSCA Simple Profile 1.0 with the types in it")
    export.add_argument("--json", dest="facility", metavar="FILE", help="the facility, every value resolved")
    types = verb(
        "types",
        "Show a type with its properties and an example, or list the types of the profile.",
        "  cantiere types\n  cantiere types HTCondorPool\n  cantiere types --json-schema > cantiere.schema.json",
        site=False,
    )
    types.add_argument("name", nargs="?", metavar="NAME", help="a type, by its whole name or the last part of it")
    types.add_argument("--json-schema", action="store_true", help="print the JSON Schema by which editors complete templates")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    from cantiere import verbs

    try:
        code = verbs.VERBS[options.verb](options)
        sys.stdout.flush()
        return code
    except CantiereError as error:
        _show(error.problems, getattr(error, "warnings", ()), getattr(options, "json", False))
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _show(problems: Sequence[Problem], warnings: Sequence[Problem], as_json: bool) -> None:
    if as_json:
        told = {"warnings": [warning.as_dict() for warning in warnings]} if warnings else {}
        print(json.dumps({"errors": [problem.as_dict() for problem in problems], **told}, indent=1))
        return
    warn(warnings)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
