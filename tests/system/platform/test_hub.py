"""Platform, the hub: users log in, get the notebook that they chose and nothing beyond their limits, and reach what is declared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cantiere.verify.hub import HubUser
from cantiere.verify.kernel import Kernel

if TYPE_CHECKING:
    from system.platform.conftest import Platform

MEMBER, OUTSIDER = "alice", "bob"
NOTEBOOKS = "component=singleuser-server"
MIB = 1 << 20
GPU = "nvidia.com~1gpu"
"""The simulated resource, as a JSON pointer has it: no machine here has a GPU, the scheduler is real."""
PENDING_SECONDS = 5.0

LIMITS = """
from pathlib import Path
groups = Path("/sys/fs/cgroup")
def first(*names):
    return next(path.read_text().split() for path in map(groups.joinpath, names) if path.is_file())
def limits():
    cpu = first("cpu.max", "cpu/cpu.cfs_quota_us")
    return [int(first("memory.max", "memory/memory.limit_in_bytes")[0]), int(cpu[0]) / 100000]
"""
CONNECT = """
import socket
def connects(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True
"""
TOKEN = """
import base64, json
import cantiere_notebook
def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
"""


class Browser:
    """A member's browser, as far from the cluster as this machine is."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.hub = platform.target.parts.hub
        self.user = self.person(MEMBER)
        self.user.log_in()

    def person(self, name: str) -> HubUser:
        """A user before log-in; the way into the cluster keeps no idle connections."""
        found = HubUser(self.platform.target.hub_url, name, self.platform.password(name), self.platform.ca)
        found.web.headers["Connection"] = "close"
        return found

    def pods(self) -> list[dict[str, Any]]:
        return self.platform.objects("pods", "-l", NOTEBOOKS)

    def rest(self, **options: str) -> tuple[int, str]:
        """Ask for a server past the spawn page."""
        url = f"{self.user.hub_url}/hub/api/users/{MEMBER}/server"
        answer = self.user.web.post(url, headers=self.user.xsrf("/hub/"), json=options, timeout=60)
        return answer.status_code, answer.text


@pytest.fixture(scope="module")
def browser(platform: Platform) -> Iterator[Browser]:
    with platform.target.reach():
        found = Browser(platform)
        found.user.stop_server()
        yield found
        found.user.stop_server()


@pytest.fixture(scope="module")
def kernel(browser: Browser) -> Iterator[Kernel]:
    """A kernel of a notebook with one core and 700 MiB."""
    begin = time.monotonic()
    browser.user.spawn(cpus="1", memory=str(700 / 1024))
    browser.user.wait_for_server()
    print(f"\n  from the spawn page to a notebook server: {time.monotonic() - begin:.1f} s")
    found = Kernel(browser.user, "hub.ipynb")
    yield found
    found.close()


@pytest.mark.parametrize(
    "option", [{"memory": "100000"}, {"cpus": "1000"}, {"gpus": "17"}, {"image": "not/on:the-list"}, {"size": "none of ours"}]
)
def test_options_out_of_range_are_refused(browser: Browser, option: dict[str, str]) -> None:
    page = browser.user.spawn(**option)
    assert "out of range" in page.text or "not on the list" in page.text
    status, text = browser.rest(**option)
    assert status == 400 and next(iter(option)) in text
    assert browser.pods() == []


def test_who_is_in_no_allowed_group_is_refused(browser: Browser) -> None:
    assert browser.person(OUTSIDER).log_in().status_code == 403


def test_the_pod_is_what_was_chosen(browser: Browser, kernel: Kernel) -> None:
    kernel.run(LIMITS)
    assert kernel.call("limits()") == [700 * MIB, 1.0]
    (pod,) = browser.pods()
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume or "hostPath" in volume]


def test_too_much_memory_ends_the_process_alone(browser: Browser, kernel: Kernel) -> None:
    kernel.run("import subprocess, sys")
    assert kernel.call("subprocess.run([sys.executable, '-c', 'bytearray(1 << 30)']).returncode", timeout=60) != 0
    assert kernel.call("1 + 1") == 2


def test_the_token_is_fresh_and_its_user_s(kernel: Kernel) -> None:
    kernel.run(TOKEN)
    claims = kernel.call("claims(cantiere_notebook.token())")
    assert claims["exp"] - time.time() > 60 and "/cms" in claims["wlcg.groups"]
    kernel.run("old = cantiere_notebook.token()\ncantiere_notebook.refresh()")
    assert kernel.call("cantiere_notebook.token() != old")


def test_oidc_agent_knows_the_issuer(browser: Browser, kernel: Kernel) -> None:
    kernel.run("import pathlib, shutil")
    assert kernel.call("bool(shutil.which('oidc-agent') and shutil.which('oidc-gen'))")
    listed = kernel.call("(pathlib.Path.home() / '.oidc-agent/issuer.config').read_text().split()")
    assert listed[0] == browser.platform.target.issuer


def test_notebooks_reach_what_is_declared_and_nothing_else(browser: Browser, kernel: Kernel) -> None:
    target = browser.platform.target
    kernel.run(CONNECT)
    declared = {(target.parts.iam, 8443), (target.parts.access_point, 9618), (target.cache, 1094), (target.parts.store, 9000)}
    for host, port in sorted((host, port) for host, port in declared if host):
        assert kernel.call(f"connects({host!r}, {port})", timeout=20), f"{host}:{port} is declared"
    machines = [
        address["address"]
        for machine in json.loads(browser.platform.kubectl("get", "nodes", "-o", "json"))["items"]
        for address in machine["status"]["addresses"]
        if address["type"] == "InternalIP"
    ]
    # all of these answer: the API server, the proxy's interface, kubelets
    forbidden = {("kubernetes.default", 443), (f"{browser.hub}-proxy-api", 8001), *((machine, 10250) for machine in machines)}
    for host, port in sorted(forbidden):
        assert not kernel.call(f"connects({host!r}, {port})", timeout=20), f"{host}:{port} is not declared"


def test_a_new_hub_finds_the_notebooks_of_the_old_one(browser: Browser, kernel: Kernel) -> None:
    (before,) = browser.pods()
    browser.platform.kubectl("-n", browser.platform.namespace, "delete", "pod", "-l", "component=hub")
    assert kernel.call("20 + 3") == 23, "the kernel answers while there is no hub"
    browser.platform.kubectl("-n", browser.platform.namespace, "rollout", "status", f"deployment/{browser.hub}-hub", "--timeout=120s")
    (after,) = browser.pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    browser.user.wait_for_server()
    assert browser.user.server_runs()


@pytest.mark.usefixtures("kernel")
def test_a_gpu_is_waited_for(browser: Browser) -> None:
    """With a simulated resource: the server is pending until a machine offers one; the one on which the user's home is."""
    (before,) = browser.pods()
    machine = before["spec"]["nodeName"]
    browser.user.stop_server()
    choices = browser.user.spawn_form().choices.get("size", [])
    size = next((choice for choice in choices if "GPU" in choice), "")
    if not size:
        pytest.skip("no size with a GPU on the spawn page: raise the facility with --input 'notebook_profiles=[{title: GPU, gpus: 1}]'")
    browser.user.spawn(size=size)
    time.sleep(PENDING_SECONDS)
    (pod,) = browser.pods()
    assert pod["status"]["phase"] == "Pending" and not pod["spec"].get("nodeName")
    paths = [f"/status/{kind}/{GPU}" for kind in ("capacity", "allocatable")]
    patch = ("patch", "node", machine, "--subresource=status", "--type=json", "-p")
    browser.platform.kubectl(*patch, json.dumps([{"op": "add", "path": path, "value": "1"} for path in paths]))
    try:
        browser.user.wait_for_server()
        (pod,) = browser.pods()
        assert pod["spec"]["nodeName"] == machine
        assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    finally:
        browser.user.stop_server()
        browser.platform.kubectl(*patch, json.dumps([{"op": "remove", "path": path} for path in paths]))
