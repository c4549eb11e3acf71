"""The root module of a site and its variables: what the program reads, and our record of the machines that it is asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.providers.terraform.options import GIVEN, Options
from cantiere.state import write_atomic

MAIN, VARIABLES, INITIALISED = "main.tf.json", "terraform.tfvars.json", "initialised"
MODULE = "facility"
SECRET = "user_data"
"""The variable that no plan, state or log may show."""
OUTPUTS = ("machines",)
OPTIONAL = ("strays",)


class Root:
    """A folder with ``main.tf.json``, which calls the site's module, and ``terraform.tfvars.json``, which says with what.

    Parameters
    ----------
    folder:
        The folder.
    options:
        The site's.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.main, self.file = folder / MAIN, folder / VARIABLES

    def read(self) -> dict[str, Any]:
        """The variables as last written; empty where nothing was asked for yet.

        Raises
        ------
        CantiereError
            The file is damaged.
        """
        if not self.file.is_file():
            return {}
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            if not isinstance(found.get("machines"), dict):
                raise ValueError("it names no machines")
        except (ValueError, AttributeError) as error:
            message = f"the record of the machines cannot be read: {error}"
            remedy = "put its last good copy back; it says which machines Terraform is asked for"
            raise CantiereError(Problem("terraform.record", message, remedy, Location(str(self.file)))) from error
        return dict(found)

    def machines(self) -> dict[str, dict[str, Any]]:
        """The machines that are asked for, by name."""
        return dict(self.read().get("machines", {}))

    def write(self, variables: Mapping[str, Any]) -> None:
        """Write the root module, and the variables in one atomic step."""
        self.write_main()
        write_atomic(self.file, as_text(variables))

    def write_main(self) -> None:
        """Write the root module alone."""
        write_atomic(self.main, as_text(self.document()))

    def document(self) -> dict[str, Any]:
        """The root module: it hands its variables on, so that no text of a site is read as an expression."""
        names = sorted({*GIVEN, *self.options.variables})
        declared = {name: {"sensitive": True} if name == SECRET else {} for name in names}
        source = os.path.relpath(self.options.module.resolve(), self.folder.resolve())
        outputs = [*OUTPUTS, *(name for name in OPTIONAL if self._offers(name))]
        found: dict[str, Any] = {
            "variable": declared,
            "module": {MODULE: {"source": source, **{name: f"${{var.{name}}}" for name in names}}},
            "output": {name: {"value": f"${{module.{MODULE}.{name}}}"} for name in outputs},
        }
        return {**found, "terraform": {"backend": dict(self.options.backend)}} if self.options.backend else found

    def sources(self) -> list[Path]:
        """The files of the module."""
        folder = self.options.module
        return sorted({*folder.glob("*.tf"), *folder.glob("*.tf.json")})

    def digest(self, program: str) -> str:
        """Digest of what a working folder is initialised for.

        Parameters
        ----------
        program:
            How the program is run.
        """
        parts = [program, as_text(self.document()), *(path.read_text(encoding="utf-8") for path in self.sources())]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _offers(self, output: str) -> bool:
        """Whether the module has an output, by its text: the program itself tells only after it is initialised."""
        return any(f'"{output}"' in path.read_text(encoding="utf-8") for path in self.sources())


def as_text(value: Any) -> str:
    """Data as JSON for people and programs."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
