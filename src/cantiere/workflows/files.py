"""Scripts and playbooks of operations: from the template's folder or its archive, and from nowhere else."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cantiere.errors import Problem, TemplateError
from cantiere.tosca.csar import is_archive, read
from cantiere.tosca.problems import Problems
from cantiere.workflows.model import Operation

PLAYBOOKS = (".yml", ".yaml")
INTERPRETERS = {".sh": ("bash",), ".py": ("python3",)}
"""Suffix of a script to what runs it."""
LARGEST = 64 << 20
"""Bytes of all files of an archive, unpacked."""


class Files:
    """Finds the files that operations name.

    Parameters
    ----------
    template:
        The template, or the archive with it.
    folder:
        Where an archive is unpacked.
    """

    def __init__(self, template: Path, folder: Path) -> None:
        self.root = self.base = template.parent.resolve()
        if is_archive(template):
            self.root = folder.resolve() / "archive"
            self.base = self.root / self._unpack(template).parent

    def _unpack(self, template: Path) -> Path:
        """Unpack an archive; its first template, as a path in it."""
        with zipfile.ZipFile(template) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                message = f"the archive has more than {LARGEST >> 20} MiB"
                raise TemplateError(Problem("csar.unusable", message, "make a smaller one", path=str(template)))
            archive.extractall(self.root)  # names that lead out of the folder are cut by it
        found = read(template, template.name, template.read_bytes(), Problems())
        assert found is not None  # the workflow was read from it
        return found[0].relative_to(template)

    def path(self, file: str) -> Path | None:
        """Where a file that an operation names lies; None where that is not in the template's folder."""
        found = (self.base / file).resolve()
        return found if found.is_relative_to(self.root) and found.is_file() else None

    def check(self, operations: Iterable[Operation]) -> Iterator[Problem]:
        """What is wrong with the files of operations."""
        for operation in operations:
            for file in filter(None, (operation.file, *operation.dependencies)):
                if self.path(file) is None:
                    message = f"{file!r} is no file of the template's folder"
                    remedy = "put the script there; operations run nothing from elsewhere"
                    yield Problem("operation.file", message, remedy, operation.where, operation.name)
            suffix = Path(operation.file).suffix
            if operation.file and suffix not in (*PLAYBOOKS, *INTERPRETERS):
                known = ", ".join((*INTERPRETERS, *PLAYBOOKS))
                message = f"nothing here runs {operation.file!r}"
                yield Problem("operation.kind", message, f"name a script or an Ansible playbook: {known}", operation.where, operation.name)
