"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import REPOSITORY


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY
