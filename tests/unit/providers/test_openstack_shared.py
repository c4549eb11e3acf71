"""Looks at a cloud that threads share, and how few calls many servers take."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack, faults, servers
from cantiere.providers.openstack.shared import Shared
from cantiere.state import State, StateStore
from support.small_cloud import Fault, SmallCloud, serving

OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "small",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": "debian-13",
    "admin_cidrs": ["192.0.2.0/24"],
    "data_volumes": {"worker": {"size": 1}},
}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKERS = [Machine(f"worker-{number}", "worker", ("worker",), "") for number in range(1, 9)]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallCloud]:
    with serving(tmp_path) as (made, file):
        made.limits |= dict.fromkeys(made.limits, 1000)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        monkeypatch.setattr(servers, "PAUSE", 0.05)
        monkeypatch.setattr(faults, "time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
        yield made


@pytest.fixture
def source(cloud: SmallCloud, tmp_path: Path) -> OpenStack:
    StateStore(tmp_path / "state").save(State("3f0c"))
    return OpenStack("cantiere-lab", tmp_path / "state", OPTIONS, {})


def made(source: OpenStack, machines: list[Machine]) -> None:
    placed, problems = source.place(machines)
    assert problems == []
    source.prepare("3f0c", print)
    with ThreadPoolExecutor(len(machines)) as pool:
        assert [seen.state for seen in pool.map(lambda machine: source.create(machine, "3f0c", print), placed)] == ["running"] * len(
            machines
        )


def test_one_look_for_all_that_wait() -> None:
    """Of many threads that ask at the same time the first looks, and at most one more look serves all others."""
    looks: list[float] = []

    def look() -> int:
        looks.append(time.monotonic())
        time.sleep(0.1)
        return len(looks)

    shared = Shared(look)
    start = threading.Barrier(20)

    def ask(_: int) -> int:
        start.wait()
        return shared.get(time.monotonic())

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))
    assert len(looks) <= 2 and set(answers) <= {1, 2}
    assert shared.get(looks[-1]) == len(looks), "an old look counts as long as it may"
    assert shared.get(time.monotonic()) == len(looks)


def test_a_look_that_fails() -> None:
    """Whoever waits for it gets its fault; who asks later asks the cloud again."""
    answers: list[Any] = [CantiereError(Problem("openstack.service", "silent", "wait")), "there"]

    def look() -> Any:
        time.sleep(0.1)
        answer = answers.pop(0)
        if isinstance(answer, CantiereError):
            raise answer
        return answer

    shared = Shared(look)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(shared.get, 0.0) for _ in range(4)]
    assert sum(isinstance(done.exception(), CantiereError) for done in waiting) >= 1
    assert shared.get(0.0) == "there" and not answers


def test_calls_of_many_servers(cloud: SmallCloud, source: OpenStack) -> None:
    """What servers share is asked once for all of them; each of them takes the calls that make its parts, and its own look or two."""
    source.prepare("3f0c", print)
    source.check([CONTROL, *WORKERS])
    made(source, [CONTROL])
    cloud.asked.clear()
    made(source, WORKERS)
    calls = Counter(cloud.asked)
    number = len(WORKERS)
    assert [calls[f"POST {path}"] for path in ("/network/v2.0/ports", "/compute/v2.1/servers")] == [number, number]
    assert [calls[f"GET /{path}"] for path in ("compute/v2.1/flavors/detail", "image/v2/images")] == [0, 0], "kept from the check"
    assert calls["GET /compute/v2.1/servers/detail"] <= 2 and calls["GET /network/v2.0/ports"] <= 3
    cloud.asked.clear()
    source.prepare("3f0c", print)
    source.ground.common()
    shared = len(cloud.asked)
    own = sum(calls.values()) - shared
    assert own <= 7 * number + 10, "three to make its parts, two to see them ready, and looks at all that is under way"


def test_what_changed_is_looked_for_again(cloud: SmallCloud, source: OpenStack) -> None:
    """A server that this process removed or tried to make is not taken from an old listing."""
    made(source, [WORKERS[0]])
    assert source.cloud.mine("servers", "worker-1")
    source.delete("worker-1")
    assert not source.cloud.mine("servers", "worker-1") and not source.cloud.mine("volumes", "worker-1")
    cloud.faults.append(Fault("POST", "/servers$", 503, after=True))
    made(source, [WORKERS[0]])
    assert cloud.names("servers") == ["cantiere-lab-worker-1"]


def test_what_took_long_to_list_counts_for_longer(cloud: SmallCloud, source: OpenStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small project is listed again after a minute, a large one only after many times what its listing took."""
    monkeypatch.setattr("cantiere.providers.openstack.cloud.KEPT_SECONDS", 0.0)
    source.cloud.mine("servers", "worker-1")
    source.cloud._listings["servers"].took = 10.0
    cloud.asked.clear()
    source.cloud.mine("servers", "worker-1")
    assert not cloud.asked
    source.cloud._listings["servers"].took = 0.0
    source.cloud.mine("servers", "worker-1")
    assert cloud.asked == ["GET /compute/v2.1/servers/detail"]
