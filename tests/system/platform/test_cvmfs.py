"""Platform, the software: the facility's repository in notebooks and in jobs, and a stack of it on the spawn page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from cantiere.verify.hub import HubUser
from cantiere.verify.kernel import Kernel

if TYPE_CHECKING:
    from system.platform.conftest import Platform

MEMBER = "alice"
REPOSITORY = "software.here.internal"
STACK = "Facility software"
CLIENT = "app.kubernetes.io/instance=software-client"
CLIENT_NAMESPACE = "cvmfs"
MOUNTED_AGAIN = 90.0

LOOK = """
import os, shutil, subprocess
def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
def reads(path):
    try:
        return bool(os.listdir(path))
    except OSError:
        return False
"""


@pytest.fixture(scope="module")
def kernel(platform: Platform) -> Iterator[Kernel]:
    """A kernel of a notebook whose software stack is that of the repository."""
    with platform.target.reach():
        user = HubUser(platform.target.hub_url, MEMBER, platform.password(MEMBER), platform.ca)
        user.log_in()
        user.stop_server()
        try:
            assert STACK in user.spawn_form().choices.get("stack", []), "this scenario needs the input software_stacks"
            user.spawn(stack=STACK, memory="0.5")
            user.wait_for_server()
            found = Kernel(user, "cvmfs.ipynb")
            found.run(LOOK)
            yield found
            found.close()
        finally:
            user.stop_server()


def test_the_stack_of_the_spawn_page_is_the_kernel_s_environment(kernel: Kernel) -> None:
    """Its environment script has run: the variable that it sets is there, and its program is found by its name alone."""
    assert kernel.call("os.environ['CANTIERE_SOFTWARE']") == f"/cvmfs/{REPOSITORY}"
    assert kernel.call("shutil.which('hello')") == f"/cvmfs/{REPOSITORY}/bin/hello"
    said = kernel.call("output('hello')")
    assert said == f"hello from /cvmfs/{REPOSITORY} on {kernel.call('os.uname().nodename')}"


def test_notebooks_and_jobs_run_software_and_cannot_change_it(platform: Platform) -> None:
    results = {step["name"]: step for step in platform.cantiere.json("verify", *platform.site, "--only", "software", code=None)["steps"]}
    print(f"\n  {results['software']['evidence']}")
    assert results["software"]["ok"] is True, results["software"]["evidence"]


def test_a_client_that_ends_comes_back_under_pods_that_run(platform: Platform, kernel: Kernel) -> None:
    """A notebook goes on: where its node's client is replaced, the mount is gone for a while and then there again."""
    folder = f"/cvmfs/{REPOSITORY}/bin"
    assert kernel.call(f"reads({folder!r})")
    platform.kubectl("-n", CLIENT_NAMESPACE, "delete", "pod", "-l", CLIENT, "--wait=true", "--timeout=60s")
    began = time.monotonic()
    while not kernel.call(f"reads({folder!r})"):
        assert time.monotonic() - began < MOUNTED_AGAIN, f"{folder} is still away"
        time.sleep(1)
    print(f"\n  the mount was there again {time.monotonic() - began:.1f} s after the last client was gone")
    assert kernel.call("output('hello')").startswith("hello from")
