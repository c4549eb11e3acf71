"""A template with workflows in a folder of its own, and a site on this machine whose state goes there too."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.workflows.samples import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
