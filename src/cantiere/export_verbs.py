"""What ``cantiere export`` does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.telling import warn

OUT = "-"


def export(options: argparse.Namespace, inputs: Mapping[str, Any]) -> int:
    """Write a template as others read it."""
    from cantiere.declared import checked, declared

    if not (options.csar or options.simple or options.facility):
        problem = Problem("export.nothing", "nothing is asked for", "name at least one of --csar, --tosca-1.0 and --json", path="export")
        raise CantiereError(problem)
    loaded = checked(options.template, inputs, options.inputs)
    template = declared(options.template)
    notices: tuple[Problem, ...] = ()
    written: list[tuple[str, bytes]] = []
    if options.simple:
        from cantiere.export.simple import simple
        from cantiere.export.written import dump

        document, notices = simple(template)
        written.append((options.simple, dump(document).encode()))
    if options.csar:
        from cantiere.export.csar import archive

        data, more = archive(template)
        notices += more
        written.append((options.csar, data))
    if options.facility:
        from cantiere.export.facility import as_dict

        if loaded is None:  # what it lacks is told as `validate` tells it
            from cantiere.tosca.compile import load

            loaded = load(options.template, inputs, options.inputs)
        written.append((options.facility, (json.dumps(as_dict(loaded.facility), indent=1, ensure_ascii=False) + "\n").encode()))
    warn(notices)
    for name, data in written:
        _write(name, data)
    return 0


def _write(name: str, data: bytes) -> None:
    if name == OUT:
        sys.stdout.buffer.write(data)
        return
    try:
        Path(name).write_bytes(data)
    except OSError as error:
        message = f"{name} cannot be written: {error.strerror}"
        raise TemplateError(Problem("export.write", message, "name a file in a folder that you may write to", path=name)) from error
    print(f"{name}: {len(data)} bytes", file=sys.stderr)
