"""OpenTofu or Terraform: which one, how it is run, and what it says where it fails."""

from __future__ import annotations

import json
import logging
import re
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged
from python_terraform import Terraform as Wrapped

from cantiere import supply
from cantiere.errors import CantiereError, Problem
from cantiere.providers.base import Log
from cantiere.providers.terraform.options import PROGRAM, Options
from cantiere.state import write_atomic
from cantiere.supply.pins import Supplied, own_architecture

ARTIFACT = "opentofu"
HOSTS = ("registry.opentofu.org", "registry.terraform.io")
"""Both programs' registries: a plugin of ours is found by either name, and is asked of neither."""
LOCK_SECONDS = 10
RUN, JOURNALED, JOURNAL, SETTINGS, PLUGINS = "run", "journaled", "journal", "settings.tfrc", "plugins"
FLAG = IsFlagged
OWNER = re.compile(r'\["([^"]+)"\]')
LOCKED, LOCKED_TEXT = "terraform.locked", "acquiring the state lock"

logging.getLogger("python_terraform").disabled = True  # it would repeat what the program prints


class Program:
    """The program in the site's folder.

    Parameters
    ----------
    folder:
        Where it works: root module, variables and state.
    options:
        The site's.
    supplied:
        Where artifacts come from.
    """

    def __init__(self, folder: Path, options: Options, supplied: Supplied) -> None:
        self.folder, self.options, self.supplied = folder, options, supplied
        self._one = threading.RLock()

    @property
    def artifacts(self) -> tuple[str, ...]:
        """What it takes of the artifacts."""
        return (*([] if self.options.program else [ARTIFACT]), *self.options.plugins)

    def problems(self) -> list[Problem]:
        """What is wrong with the program that the site names."""
        named = self.options.program
        if not named or shutil.which(named):
            return []
        remedy = f"install it, give its path, or leave `program` out: {PROGRAM} is taken from the artifacts"
        return [Problem("terraform.program", f"there is no program {named}", remedy, path="provider.program")]

    def missing(self) -> tuple[str, ...]:
        """Artifacts that are not on this machine yet."""
        return supply.missing(self.artifacts, self.supplied, own_architecture())

    def install(self, log: Log) -> None:
        """Have the program and the plugins of our module, and write how they are run; what a user runs by hand is the same."""
        if problems := self.problems():
            raise CantiereError(problems)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stored = supply.ensure(self.artifacts, self.supplied, own_architecture(), log)
        program = shutil.which(self.options.program) if self.options.program else str(stored[ARTIFACT].files[0].path)
        for name in self.options.plugins:
            found = stored[name]
            kind = name.removeprefix("terraform-provider-")
            for host in HOSTS:
                link = self.folder / PLUGINS / host / name / kind / found.version / f"linux_{found.arch}"
                link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not link.is_symlink() or link.readlink() != found.folder:
                    link.unlink(missing_ok=True)
                    link.symlink_to(found.folder)
        environment = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        if self.options.plugins:
            ours = [f"{host}/{name}/*" for name in self.options.plugins for host in HOSTS]
            text = f"filesystem_mirror {{\n    path = {json.dumps(str(self.folder / PLUGINS))}\n    include = {json.dumps(ours)}\n  }}"
            write_atomic(self.folder / SETTINGS, f"provider_installation {{\n  {text}\n}}\n")
            environment["TF_CLI_CONFIG_FILE"] = str(self.folder / SETTINGS)
        lines = [
            "#!/bin/sh",
            "# The program of this site with its plugins. It goes on to its end when its caller dies, and writes for its owner alone.",
            "trap '' HUP PIPE",
            "umask 077",
            *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
            f'exec {shlex.quote(str(program))} "$@"',
        ]
        write_atomic(self.folder / RUN, "\n".join(lines) + "\n", 0o700)
        journaled = f'exec {shlex.quote(str(self.folder / RUN))} "$@" >{shlex.quote(str(self.folder / JOURNAL))}'
        write_atomic(
            self.folder / JOURNALED,
            f"#!/bin/sh\n# What it prints is there when its caller is not any more.\numask 077\n{journaled}\n",
            0o700,
        )

    def __call__(self, verb: str, *words: str, **flags: Any) -> str:
        """Run a verb, one at a time, and return what it printed.

        Parameters
        ----------
        verb:
            ``plan``, ``apply``, …
        words:
            Arguments after the flags.
        flags:
            Flags, ``_`` for ``-``; :data:`FLAG` for one without a value, a list for one that is repeated. None is a secret: a process list
            shows them.

        Raises
        ------
        CantiereError
            It failed; each of its own errors, with the machine whose object it names.
        """
        code, printed, errors = self._run(RUN, verb, *words, **flags)
        if code:
            raise CantiereError(told(verb, f"{printed}\n{errors}", self.folder))
        return printed

    def read(self, *words: str) -> Mapping[str, Any]:
        """What ``show`` says of the state, or of a plan's file."""
        found: dict[str, Any] = json.loads(self("show", *words, json=FLAG))
        return found

    def plan(self, file: Path, *, lock: bool = True, **flags: Any) -> Mapping[str, Any]:
        """Make a plan, keep it in a file, and read it.

        Parameters
        ----------
        file:
            Takes the plan.
        lock:
            Whether the state is locked meanwhile; who only looks need not.
        flags:
            More flags.
        """
        held: dict[str, Any] = {"lock_timeout": f"{LOCK_SECONDS}s"} if lock else {"lock": False}
        self("plan", input=False, json=FLAG, out=str(file), **held, **flags)
        return self.read(str(file))

    def apply(self, file: Path) -> None:
        """Do exactly what a plan's file says; its journal stays where it fails or is killed."""
        code, _, errors = self._run(JOURNALED, "apply", str(file), input=False, json=FLAG, lock_timeout=f"{LOCK_SECONDS}s")
        journal = self.folder / JOURNAL
        if code:
            raise CantiereError(told("apply", f"{journal.read_text(encoding='utf-8')}\n{errors}", self.folder))
        journal.unlink()

    def _run(self, script: str, verb: str, *words: str, **flags: Any) -> tuple[int, str, str]:
        with self._one:
            wrapped = Wrapped(working_dir=str(self.folder), terraform_bin_path=str(self.folder / script))
            code, printed, errors = wrapped.cmd(verb, *words, **flags)
        return int(code), str(printed), str(errors)


def told(verb: str, printed: str, folder: Path) -> list[Problem]:
    """What a run that failed said, as problems.

    Parameters
    ----------
    verb:
        What it was asked for.
    printed:
        Its output: JSON lines where it was asked for them.
    folder:
        Where it worked.
    """
    problem = partial(_problem, verb, folder)
    found = [problem(item) for item in _errors(printed)]
    if found:
        return found
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    text = " ".join(line.strip(" │╷╵") for line in plain.splitlines() if line.strip(" │╷╵"))
    return [problem({"summary": text[-800:] or "it said nothing"})]


def _errors(printed: str) -> Iterator[Mapping[str, Any]]:
    for line in printed.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("@level") == "error":
            yield said.get("diagnostic") or {"summary": said.get("@message", "")}


def _problem(verb: str, folder: Path, said: Mapping[str, Any]) -> Problem:
    address, summary, detail = (str(said.get(key) or "") for key in ("address", "summary", "detail"))
    text = " ".join(f"{address}: {summary}: {detail}".strip(": ").split())
    if LOCKED_TEXT in text:
        remedy = f"wait for it to end; if it was killed on another machine: `{folder / RUN} -chdir={folder} force-unlock ID`"
        return Problem(LOCKED, f"another run holds Terraform's state: {text}", remedy, path=str(folder))
    owner = OWNER.search(address)
    remedies = {
        "apply": "mend what it says, and run the same command again: it goes on from there",
        "init": "check that the module's plugins can be had: docs/how-to/terraform.md",
    }
    remedy = remedies.get(verb, "mend the module, its variables, or what the cloud refuses, and run again")
    return Problem(
        f"terraform.{verb if verb in ('init', 'plan', 'apply') else 'run'}", text, remedy, path=owner[1] if owner else "terraform"
    )
