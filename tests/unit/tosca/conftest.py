from __future__ import annotations

from pathlib import Path

import pytest

from support.templates import Loader


@pytest.fixture
def tosca(tmp_path: Path) -> Loader:
    return Loader(tmp_path)
