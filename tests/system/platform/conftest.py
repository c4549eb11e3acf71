"""Platform: the facility's services on a real cluster, on one that exists and end to end, from the template that one machine has too."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from cantiere.verify.command import target
from cantiere.verify.hub import HubUser
from cantiere.verify.target import Output, Target
from cantiere.workspace import Workspace, open_applied
from support.tree import REPOSITORY

if TYPE_CHECKING:
    from system.conftest import CommandLine

MACHINES = ("--site", "nspawn")
INPUTS: dict[str, Any] = {
    "control_machines": 1,
    "worker_machines": 2,
    "worker_scaling": {"style": "hpa", "min": 1, "max": 3, "cooldown": "20 s"},
    "worker_classes": [
        {"name": "gpu", "cpus": 1, "memory": "512 MiB", "gpus": 2, "simulated_gpus": True, "image": "htcondor", "requested_cpus": 0.05}
    ],
    "requested_cpus_per_worker": 0.05,
    "job_retirement_time": "6 m",
    "notebook_profiles": [{"title": "Small with a GPU", "cpus": 1, "memory": "512 MiB", "gpus": 1}],
    "home_size": "1 GiB",
    "reserved_cpus_per_notebook": 0.1,
    "site_cache_servers": 2,
    "cvmfs": True,
    "computing": True,
    "software_stacks": [{"title": "Facility software", "script": "/cvmfs/software.here.internal/setup.sh"}],
}
SIZE = tuple(word for name, value in INPUTS.items() for word in ("--input", f"{name}={json.dumps(value)}"))

IMAGES_SECONDS = 900
"""For both machines to have the images of the spawn page."""
GONE_SECONDS = 60.0
"""For pods of a computation that ended."""


class Platform:
    """The facility on a cluster, and a hand on the cluster that is not the program's."""

    size = SIZE
    machines: ClassVar[Sequence[str]] = MACHINES
    """The site that has the cluster."""

    def __init__(self, cantiere: CommandLine, site: str) -> None:
        self.cantiere = cantiere
        self.site = ("--site", site)

    @cached_property
    def workspace(self) -> Workspace:
        return open_applied(self.site[1])[0]

    @cached_property
    def target(self) -> Target:
        return target(self.workspace)

    @property
    def namespace(self) -> str:
        return self.target.domain.partition(".")[0]

    @property
    def ca(self) -> Path:
        return self.target.ca

    def up(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cantiere.json("up", *self.site, *arguments)
        return found

    def kubectl(self, *arguments: str) -> str:
        return str(self.cantiere.run("kubectl", *self.machines, "--", *arguments).stdout)

    def apply(self, item: dict[str, Any]) -> None:
        """Make an object, or make it what it should be."""
        command = [REPOSITORY / "cantiere", "kubectl", *self.machines, "--", "apply", "-f", "-"]
        subprocess.run(command, cwd=REPOSITORY, input=json.dumps(item), text=True, check=True, capture_output=True)

    def objects(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Objects of a kind in the facility's namespace."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("-n", self.namespace, "get", kind, "-o", "json", *arguments))["items"]
        return found

    def pods(self) -> dict[str, str]:
        """Name of each pod of the facility to its identifier; without those that come and go with load, users and machines."""
        found = self.objects("pods", "-l", "app.kubernetes.io/component!=execute-point,component!=singleuser-server")
        metadata = [pod["metadata"] for pod in found]
        return {item["name"]: item["uid"] for item in metadata if item["ownerReferences"][0]["kind"] != "DaemonSet"}

    def exec(self, pod: str, command: Sequence[str], timeout: float = 60.0) -> Output:
        """Run a command in a pod, or in the first pod of a Service."""
        return self.target.control.exec(pod, command, timeout)

    def password(self, user: str) -> str:
        return self.target.password(user)

    def token(self, user: str, scope: str = "", audience: str = "") -> str:
        """A user's access token; narrowed where a scope or an audience is given."""
        with self.target.reach():
            token = self.target.token_client.log_in(user, self.password(user))
            return self.target.token_client.exchange(token, scope, audience) if scope or audience else token


@pytest.fixture(scope="session")
def platform(cantiere: CommandLine) -> Iterator[Platform]:
    """The facility end to end: machines, cluster, services."""
    made = Platform(cantiere, "nspawn")
    try:
        print(f"\n  up: {made.up(*SIZE)['seconds']} s")
        yield made
    finally:
        cantiere.run("down", *MACHINES)


class Computation:
    """A member's notebook with the image for computations, and the pods that it made."""

    member = "alice"

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        target = platform.target
        self.space = f"{platform.namespace}-compute"
        self.user = HubUser(target.hub_url, self.member, platform.password(self.member), platform.ca)
        self.user.log_in()

    def image(self) -> str:
        """The choice of the spawn page."""
        return next(image for image in self.user.spawn_form().choices["image"] if "/spark:" in image)

    def pods(self) -> list[dict[str, Any]]:
        """Those that have not ended."""
        found: list[dict[str, Any]] = json.loads(self.platform.kubectl("-n", self.space, "get", "pods", "-o", "json"))["items"]
        return [pod for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.pods()}

    def wait_until_gone(self) -> float:
        """Seconds until no executor is left."""
        begin = time.monotonic()
        while left := self.names():
            assert time.monotonic() - begin < GONE_SECONDS, f"{left} are still there"
            time.sleep(1)
        return time.monotonic() - begin


@pytest.fixture(scope="module")
def computation(platform: Platform) -> Iterator[Computation]:
    hub = platform.target.parts.hub
    platform.kubectl(
        "-n", platform.namespace, "rollout", "status", f"daemonset/{hub}-continuous-image-puller", f"--timeout={IMAGES_SECONDS}s"
    )
    with platform.target.reach():
        found = Computation(platform)
        found.user.stop_server()
        yield found
        found.user.stop_server()
