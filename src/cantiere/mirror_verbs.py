"""What ``cantiere mirror`` does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cantiere.errors import CantiereError
from cantiere.site import Site


def mirror(options: argparse.Namespace) -> int:
    """Fill, check or offer a bundle of artifacts."""
    from cantiere import site as sites

    site = sites.load(sites.find(options.site))
    return ACTIONS[options.action](options, options.folder.resolve(), site)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _pull(options: argparse.Namespace, folder: Path, site: Site) -> int:
    from cantiere.supply import bundle
    from cantiere.supply.pins import own_architecture

    index = bundle.pull(folder, site, options.arch or [own_architecture()], _say)
    entries = index["artifacts"]
    files = [file for entry in entries for file in entry["files"]]
    result = {"folder": str(folder), "artifacts": len(entries), "files": len(files), "bytes": sum(file["size"] for file in files)}
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print(f"{folder}: {len(entries)} artifacts, {len(files)} files, {result['bytes'] >> 20} MiB")
    return 0


def _verify(options: argparse.Namespace, folder: Path, site: Site) -> int:
    from cantiere.supply import bundle

    problems = bundle.verify(folder, site)
    if problems:
        raise CantiereError(problems)
    print(json.dumps({"errors": []}) if options.json else f"{folder}: every file is the one that is pinned")
    return 0


def _serve(options: argparse.Namespace, folder: Path, site: Site) -> int:
    from cantiere.supply import bundle

    with bundle.server(folder, options.bind, options.port) as server:
        _say(f"{folder} is offered at http://{options.bind or '127.0.0.1'}:{server.server_port}; end with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _say("")
    return 0


ACTIONS: Mapping[str, Callable[[argparse.Namespace, Path, Site], int]] = {"pull": _pull, "verify": _verify, "serve": _serve}
