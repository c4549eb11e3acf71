"""Runs of the program in a site's folder: looked at, planned, applied exactly as planned, and taken up where a kill cut one off."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.providers.base import Log
from cantiere.providers.terraform import orphans, seen
from cantiere.providers.terraform.options import Options
from cantiere.providers.terraform.program import FLAG, JOURNAL, LOCKED, RUN, Program
from cantiere.providers.terraform.root import INITIALISED, MODULE, Root, as_text
from cantiere.state import write_atomic
from cantiere.supply.pins import Supplied

PLAN, CANDIDATE = "last.tfplan", "candidate.tfvars.json"
STRAY_SECONDS, STRAY_PAUSE = 45.0, 3.0


class Runs:
    """What is done with the program.

    Parameters
    ----------
    folder:
        Where it works.
    options:
        The site's.
    supplied:
        Where artifacts come from.
    log:
        Takes a line for each object that changes, and for what takes long.
    """

    def __init__(self, folder: Path, options: Options, supplied: Supplied, log: Log) -> None:
        self.folder, self.options, self.log = folder, options, log
        self.program, self.root = Program(folder, options, supplied), Root(folder, options)
        self._outputs: Mapping[str, Any] | None = None

    def ready(self) -> None:
        """Have the program, the root module, and what ``init`` brings."""
        self.program.install(self.log)
        self.root.write_main()
        done, wanted = self.folder / INITIALISED, self.root.digest((self.folder / RUN).read_text(encoding="utf-8"))
        if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
            self.program("init", input=False, no_color=FLAG, **({"upgrade": True} if self.options.plugins else {}))
            write_atomic(done, wanted)

    def outputs(self) -> Mapping[str, Any]:
        """The machines as the state last knew them; the cloud is not asked."""
        if self._outputs is None:
            self._outputs = self.known() if self.root.file.is_file() and (self.folder / RUN).is_file() else {}
        return self._outputs

    def known(self) -> Mapping[str, Any]:
        """The machines that the state has."""
        return seen.outputs(self._state(), "machines")

    def look(self) -> Mapping[str, Any]:
        """A plan that only refreshes: what is there now, and nothing written."""
        self.ready()
        plan = self._passing(refresh_only=True)
        self._outputs = seen.outputs(plan.get("planned_values") or {}, "machines")
        return plan

    def pending(self, variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What would be done to objects with these variables; nothing is done.

        Raises
        ------
        CantiereError
            The program or the cloud refuses; says what.
        """
        self.ready()
        with tempfile.TemporaryDirectory(prefix="cantiere-") as place:
            file = Path(place) / CANDIDATE
            write_atomic(file, as_text(variables))
            return seen.changes(self._passing(var_file=str(file)))

    def apply(self, new: frozenset[str] = frozenset()) -> None:
        """Plan, refuse what nobody asked for, and do exactly what the plan says.

        Parameters
        ----------
        new:
            Machines that get a new key: what the state knows under their names is made anew.

        Raises
        ------
        CantiereError
            The plan would touch machines that go on, or something fails.
        """
        cut_off = (self.folder / JOURNAL).is_file()
        taken = self._adopt()
        anew = {*seen.addresses(self._state(), new), *(address for address, whole in taken.items() if not whole)}
        plan = self.program.plan(self.folder / PLAN, replace=sorted(anew))
        owners = {str(item.get("index")) for item in seen.changes(plan) if item["address"] in {*anew, *taken}}
        if problems := seen.refused(plan, self.root.machines().keys() - owners):
            raise CantiereError(problems)
        self._do(plan, orphaned=cut_off)

    def destroy(self) -> None:
        """Remove everything that the state knows.

        Raises
        ------
        CantiereError
            Something cannot be removed.
        """
        self.ready()
        self._adopt()
        self._do(self.program.plan(self.folder / PLAN, destroy=True), orphaned=True)
        if left := list(seen.resources(self._state())):
            message = f"Terraform still knows {len(left)} objects, {left[0]['address']} among them"
            raise CantiereError(Problem("terraform.left", message, "run the same command again", path=str(self.folder)))

    def _do(self, plan: Mapping[str, Any], *, orphaned: bool) -> None:
        """Do what a plan's file says; with ``orphaned``, first remove what carries our mark and no state has.

        No other run is under way then: the plan was made under the state's lock.
        """
        if orphaned:
            asked, known = self.root.read(), {str(item["values"].get("id")) for item in seen.resources(self._state())}
            orphans.remove(self.options, str(asked["prefix"]), str(asked["lineage"]), known, self.log)
        for line in seen.words(plan):
            self.log(f"terraform: {line}")
        try:
            self.program.apply(self.folder / PLAN)
        finally:
            self._outputs = None

    def _adopt(self) -> dict[str, bool]:
        """Take objects into the state that a killed run made and could not write down; their addresses, and whether they are whole.

        The program writes its state down every 20 s. Its journal names what was made since, and a module may tell what was being made.
        """
        journal = self.folder / JOURNAL
        if not journal.is_file():
            return {}
        made = seen.made(journal.read_text(encoding="utf-8"))
        known = {str(item["address"]) for item in seen.resources(self._state())}
        found = {address: True for address, identifier in made.items() if address not in known and self._take(address, identifier)}
        if "strays" in self.root.document()["output"]:
            begun = {address for address in seen.begun(journal.read_text(encoding="utf-8")) - known if orphans.KIND not in address}
            end = time.monotonic() + STRAY_SECONDS
            strays = self._strays()
            while begun - strays.keys() and time.monotonic() < end:  # a cloud shows only after a while what it was asked for
                time.sleep(STRAY_PAUSE)
                strays = self._strays()
            found |= {address: False for address, identifier in strays.items() if self._take(address, identifier)}
        return found

    def _strays(self) -> dict[str, str]:
        """Address to identifier of what the module knows to be there and not in the state."""
        told = seen.outputs(self._passing(refresh_only=True).get("planned_values") or {}, "strays")
        return {f"module.{MODULE}.{address}": str(identifier) for address, identifier in sorted(told.items())}

    def _take(self, address: str, identifier: str) -> bool:
        """Take one object into the state; False where it is gone."""
        self.log(f"{address}: {identifier} was left by a run that was killed")
        try:
            self.program("import", address, identifier, input=False, no_color=FLAG)
        except CantiereError as error:
            if any(problem.code == LOCKED for problem in error.problems):
                raise  # that run is not dead: it goes on
            self.log(str(error))
            return False
        return True

    def _state(self) -> Mapping[str, Any]:
        values: Mapping[str, Any] = self.program.read().get("values") or {}
        return values

    def _passing(self, **flags: Any) -> Mapping[str, Any]:
        """A plan that is read and thrown away; the state is not locked for it."""
        with tempfile.TemporaryDirectory(prefix="cantiere-") as place:
            return self.program.plan(Path(place) / PLAN, lock=False, **flags)
