"""What the guard lets through to the container engine, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from unit.samples_guard import CREATE, POLICY, decide, is_notebook, notebook, policy


def test_a_notebook_passes_as_it_was_checked() -> None:
    body = notebook()
    decision = decide("POST", CREATE, body, POLICY)
    assert (decision.refusal, decision.path, decision.body) == ("", CREATE, body)


@pytest.mark.parametrize(
    "host",
    [
        {"Privileged": True},
        {"Privileged": False},
        {"Binds": ["/:/host"]},
        {"Binds": ["here-home-bob:/home/jovyan:rw"]},
        {"Binds": ["here-home-alice:/home/jovyan:rw", "/:/host"]},
        {"Binds": ["here-home-alice:/home/jovyan:rw,suid"]},
        {"Binds": []},
        {"Binds": "here-home-alice:/home/jovyan:rw"},
        {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]},
        {"VolumesFrom": ["here-iam"]},
        {"NetworkMode": "host"},
        {"NetworkMode": "container:here-iam"},
        {"NetworkMode": None},
        {"PidMode": "host"},
        {"IpcMode": "host"},
        {"UsernsMode": "host"},
        {"CgroupnsMode": "host"},
        {"CgroupParent": "/"},
        {"Devices": [{"PathOnHost": "/dev/vda"}]},
        {"DeviceCgroupRules": ["a *:* rwm"]},
        {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"], "Capabilities": [["gpu"]]}]},
        {"CapAdd": ["SYS_ADMIN"]},
        {"CapDrop": []},
        {"CapDrop": None},
        {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
        {"SecurityOpt": []},
        {"MaskedPaths": []},
        {"ReadonlyPaths": []},
        {"Memory": 0},
        {"Memory": (4 << 30) + 1},
        {"Memory": True},
        {"Memory": "4g"},
        {"MemorySwap": -1},
        {"OomKillDisable": True},
        {"OomScoreAdj": -1000},
        {"CpuQuota": 200_001},
        {"CpuQuota": -1},
        {"CpuPeriod": 1000},
        {"PidsLimit": 0},
        {"PidsLimit": -1},
        {"PortBindings": {"8888/tcp": [{"HostPort": "80"}]}},
        {"PublishAllPorts": True},
        {"ExtraHosts": ["iam.here.internal:10.0.0.1"]},
        {"Dns": ["10.0.0.1"]},
        {"Sysctls": {"net.ipv4.ip_forward": "1"}},
        {"RestartPolicy": {"Name": "always"}},
        {"Runtime": "other"},
        {"Tmpfs": {"/x": ""}},
        {"Init": True},
        {"Links": ["here-iam:iam"]},
    ],
)
def test_no_other_host_setting_passes(host: dict[str, Any]) -> None:
    assert decide("POST", CREATE, notebook(**host), POLICY).refusal


@pytest.mark.parametrize(
    "top",
    [
        {"User": "0"},
        {"User": ""},
        {"User": "root"},
        {"User": "1000:0"},
        {"Image": "localhost/cantiere/iam:1"},
        {"Image": None},
        {"Labels": None},
        {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "bob"}},
        {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "alice", "cantiere.container": "iam"}},
        {"Volumes": {"/etc": {}}},
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}},
        {"MacAddress": "02:00:00:00:00:01"},
        {"Healthcheck": {"Test": ["CMD", "true"]}},
        {"Runtime": "other"},
        {"hostconfig": {"Privileged": True}},
        {"HostConfig": None},
        {"HostConfig": []},
    ],
)
def test_no_other_container_setting_passes(top: dict[str, Any]) -> None:
    assert decide("POST", CREATE, notebook(top), POLICY).refusal


@pytest.mark.parametrize(
    "target",
    [
        "/v1.41/containers/create",
        "/v1.41/containers/create?name=jupyter-alice",
        "/v1.41/containers/create?name=here-iam",
        "/v1.41/containers/create?name=there-jupyter-alice",
        "/v1.41/containers/create?name=here-jupyter-alice&platform=linux",
        "/v1.41/containers/create?name=here-jupyter-alice&name=here-iam",
        "/v1.41/containers/create?name=here-jupyter-alice%0a",
        "/v1.41/containers/create?name=here-jupyter-Alice",
    ],
)
def test_no_other_name_passes(target: str) -> None:
    assert decide("POST", target, notebook(), POLICY).refusal


@pytest.mark.parametrize("body", [None, [], "x", {}])
def test_a_body_that_is_no_container_is_refused(body: Any) -> None:
    assert decide("POST", CREATE, body, POLICY).refusal


def test_software_is_mounted_read_only_where_it_is_offered() -> None:
    binds = ["here-home-alice:/home/jovyan:rw", "/srv/cvmfs:/cvmfs:ro,rslave"]
    assert decide("POST", CREATE, notebook(Binds=binds), POLICY).refusal
    offered = policy(cvmfs="/srv/cvmfs")
    assert not decide("POST", CREATE, notebook(Binds=binds), offered).refusal
    assert not decide("POST", CREATE, notebook(), offered).refusal
    assert decide("POST", CREATE, notebook(Binds=[binds[0], "/srv/cvmfs:/cvmfs:rw,rslave"]), offered).refusal
    assert decide("POST", CREATE, notebook(Binds=[binds[0], "/:/cvmfs:ro,rslave"]), offered).refusal


@pytest.mark.parametrize(
    ("driver", "request_", "allowed"),
    [
        ("cdi", {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=1"], "Capabilities": [["gpu"]], "Count": 0}, True),
        ("cdi", {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=2"], "Capabilities": [["gpu"]]}, False),
        ("cdi", {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"], "Capabilities": [["gpu"]]}, False),
        ("cdi", {"Driver": "cdi", "DeviceIDs": ["/dev/vda"], "Capabilities": [["gpu"]]}, False),
        ("cdi", {"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]]}, False),
        ("nvidia", {"Driver": "nvidia", "Count": 2, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}, True),
        ("nvidia", {"Driver": "nvidia", "Count": 3, "Capabilities": [["gpu"]]}, False),
        ("nvidia", {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}, False),
        ("nvidia", {"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu", "compat32"]]}, False),
        ("nvidia", {"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]], "Options": {"x": "y"}}, False),
    ],
)
def test_gpus_pass_up_to_the_number_offered(driver: str, request_: dict[str, Any], allowed: bool) -> None:
    offered = policy(max_gpus=2, gpu_driver=driver)
    assert bool(decide("POST", CREATE, notebook(DeviceRequests=[request_]), offered).refusal) is not allowed


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        ("GET", "/version", "/version"),
        ("GET", "/v1.41/_ping", "/v1.41/_ping"),
        ("GET", "/v1.41/images/localhost/cantiere/analysis:1/json", "/v1.41/images/localhost/cantiere/analysis:1/json"),
        (
            "GET",
            f"/v1.41/images/registry.example.org/image%40sha256:{'a' * 64}/json",
            f"/v1.41/images/registry.example.org/image%40sha256:{'a' * 64}/json",
        ),
        (
            "POST",
            "/v1.41/images/create?fromImage=registry.example.org/image&tag=1",
            "/v1.41/images/create?fromImage=registry.example.org/image&tag=1",
        ),
        (
            "POST",
            f"/v1.41/images/create?fromImage=registry.example.org/image&tag=sha256:{'a' * 64}",
            f"/v1.41/images/create?fromImage=registry.example.org/image&tag=sha256:{'a' * 64}",
        ),
        ("GET", "/v1.41/containers/abc/json", "/v1.41/containers/{container}/json"),
        ("POST", "/v1.41/containers/abc/start", "/v1.41/containers/{container}/start"),
        ("POST", "/v1.41/containers/abc/stop?t=10", "/v1.41/containers/{container}/stop?t=10"),
        ("POST", "/v1.41/containers/abc/kill?signal=SIGTERM", "/v1.41/containers/{container}/kill?signal=SIGTERM"),
        (
            "DELETE",
            "/v1.41/containers/abc?v=True&link=False&force=False",
            "/v1.41/containers/{container}?v=True&link=False&force=False",
        ),
    ],
)
def test_the_hubs_calls_pass(method: str, target: str, path: str) -> None:
    decision = decide(method, target, None, POLICY)
    assert (decision.refusal, decision.path) == ("", path)
    assert bool(decision.container) is ("{container}" in path)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/containers/json"),
        ("GET", "/v1.41/containers/create"),
        ("POST", "/v1.41/containers/abc/exec"),
        ("GET", "/v1.41/containers/abc/logs"),
        ("GET", "/v1.41/containers/abc/archive?path=/"),
        ("PUT", "/v1.41/containers/abc/archive?path=/"),
        ("GET", "/v1.41/containers/abc/json?size=1"),
        ("POST", "/v1.41/containers/abc/rename?name=x"),
        ("POST", "/v1.41/containers/abc/update"),
        ("POST", "/v1.41/containers/abc/attach"),
        ("POST", "/v1.41/commit?container=abc"),
        ("POST", "/v1.41/build"),
        ("GET", "/v1.41/secrets"),
        ("POST", "/v1.41/volumes/create"),
        ("GET", "/v4.3/libpod/info"),
        ("POST", "/v4.3/libpod/containers/create"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/v1.41/images/localhost/cantiere/iam:1/json"),
        ("DELETE", "/v1.41/images/localhost/cantiere/analysis:1"),
        ("POST", "/v1.41/images/create?fromSrc=-"),
        ("POST", "/v1.41/images/create?fromImage=localhost/cantiere/analysis&tag=1"),
        ("POST", "/v1.41/images/create?fromImage=registry.example.org/image"),
        ("POST", "/v1.41/images/load"),
        ("GET", "/v1.41/containers/../secrets/json"),
        ("GET", "/v1.41/containers/x%2f..%2fy/json"),
        ("GET", "/v1.41/containers//json"),
        ("GET", "/v1.41/containers/a%00b/json"),
        ("GET", "/v1.41/_ping?x=1"),
        ("CONNECT", "/version"),
        ("GET", ""),
    ],
)
def test_no_other_call_passes(method: str, target: str) -> None:
    assert decide(method, target, None, POLICY).refusal


@pytest.mark.parametrize(
    ("inspected", "is_one"),
    [
        ({"Name": "/here-jupyter-alice", "Config": {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "alice"}}}, True),
        ({"Name": "here-jupyter-j-2edoe", "Config": {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "j-2edoe"}}}, True),
        ({"Name": "/here-jupyter-alice", "Config": {"Labels": {"cantiere.facility": "here", "cantiere.container": "x"}}}, False),
        ({"Name": "/here-iam", "Config": {"Labels": {"cantiere.facility": "here", "cantiere.notebook": "alice"}}}, False),
        ({"Name": "/there-jupyter-alice", "Config": {"Labels": {"cantiere.facility": "there", "cantiere.notebook": "alice"}}}, False),
        ({"Name": "/here-jupyter-alice", "Config": {"Labels": None}}, False),
        ({}, False),
    ],
)
def test_a_notebook_is_known_by_name_and_labels(inspected: dict[str, Any], is_one: bool) -> None:
    assert is_notebook(inspected, POLICY) is is_one
