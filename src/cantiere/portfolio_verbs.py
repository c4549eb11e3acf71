"""What ``cantiere portfolio`` and ``cantiere form`` do."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path

from cantiere.errors import CantiereError, Problem
from cantiere.telling import warn


def portfolio(options: argparse.Namespace) -> int:
    """Build or check a portfolio."""
    return _build(options) if options.action == "build" else _check(options)


def _build(options: argparse.Namespace) -> int:
    from cantiere.portfolio.build import build
    from cantiere.site import REPOSITORY

    templates = options.templates or sorted((REPOSITORY / "tosca" / "templates").glob("*.yaml"))
    made = build(options.folder, templates, options.group)
    if options.json:
        print(json.dumps({"errors": [], "warnings": [notice.as_dict() for notice in made.notices], "files": list(made.files)}, indent=1))
        return 0
    warn(made.notices)
    for name in made.files:
        print(options.folder / name)
    return 0


def _check(options: argparse.Namespace) -> int:
    from cantiere.portfolio.check import check

    report = check(options.folder)
    if options.json:
        found = {"errors": [one.as_dict() for one in report.errors], "warnings": [one.as_dict() for one in report.warnings]}
        print(json.dumps(found, indent=1))
        return 1 if report.errors else 0
    warn(report.warnings)
    if report.errors:
        raise CantiereError(report.errors)
    print(f"{options.folder}: nothing that would break the dashboard")
    return 0


def form(options: argparse.Namespace) -> int:
    """Ask the inputs of a template, and write them to a file."""
    from cantiere.declared import checked, declared
    from cantiere.portfolio.asking import ask_all, write

    checked(options.template)
    template = declared(options.template)
    output = options.output or Path(f"{options.template.stem}-inputs.yml")
    print(f"An empty answer keeps what stands in [].\nThe answers go to {output}.", file=sys.stderr)
    answers = ask_all(template, output, _ask, lambda line: print(line, file=sys.stderr))
    try:
        write(answers, output, template)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise CantiereError(Problem("form.write", message, "name a file in a folder that you may write to", path=str(output))) from error
    print(
        f"{output}: {len(answers.values)} inputs" + (f", {len(answers.secrets)} of them in files of their own" if answers.secrets else "")
    )
    checked(options.template, inputs_file=output)
    return 0


def _ask(prompt: str, hidden: bool) -> str:
    """A line that somebody types; where it is hidden, the terminal is silent before the prompt is seen."""
    try:
        if hidden:
            return getpass.getpass(prompt)
        print(prompt, end="", file=sys.stderr, flush=True)
        return input()
    except EOFError:
        raise CantiereError(Problem("form.end", "there are no more answers; nothing was written", "answer every question")) from None
