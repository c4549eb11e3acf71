"""The small cloud, for tests in which nobody logs in and nothing is waited for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import servers
from support.small_cloud import SmallCloud, serving


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallCloud]:
    with serving(tmp_path) as (made, file):
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        monkeypatch.setattr(servers, "PAUSE", 0.0)
        monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
        yield made
