"""On a real OpenStack: servers change in place, and what application credentials and readers may do. Servers may be records."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack
from cantiere.state import StateStore
from support.testbed import belongings, lineage, named, running

pytestmark = pytest.mark.full

PREFIX = "ctch"
OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "member",
    "network": {"subnet": "10.31.0.0/24", "external": "public"},
    "image": {"properties": {"os_distro": "debian"}},
    "admin_cidrs": ["192.0.2.0/24"],
    "floating_ips": "none",
}
GIB = 1 << 30
WORKER = Machine("worker-1", "worker", ("worker",), "", needs={"num_cpus": 2})
WIDE = replace(WORKER, needs={"num_cpus": 4, "mem_size": 4 * GIB})
RESIZE_SECONDS = 300


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A project of its own on the test bed, and a clouds.yaml with its users; one bed that is up already stays up."""
    with running("fake", "nspawn"):
        file = tmp_path_factory.mktemp("clouds") / "clouds.yaml"
        admin = yaml.safe_load(Path(named()["OS_CLIENT_CONFIG_FILE"]).read_text(encoding="utf-8"))["clouds"]["testbed-admin"]
        given: dict[str, Any] = {"testbed-admin": admin}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
            write(given)
            import openstack

            identity = openstack.connect(cloud="testbed-admin").identity
            project = identity.create_project(name=f"changes-{uuid.uuid4().hex[:8]}", domain_id="default")
            users = []
            for role in ("member", "reader"):
                password = uuid.uuid4().hex
                user = identity.create_user(name=f"{project.name}-{role}", domain_id="default", password=password)
                identity.assign_project_role_to_user(project, user, identity.find_role(role))
                users.append(user)
                auth = {"username": user.name, "password": password, "project_id": project.id, "user_domain_id": "default"}
                given[role] = {"region_name": admin["region_name"], "auth": {"auth_url": admin["auth"]["auth_url"], **auth}}
            write(given)
            yield given
            network = openstack.connect(cloud="testbed-admin").network
            for group in network.security_groups(project_id=project.id):
                network.delete_security_group(group)
            for user in users:
                identity.delete_user(user)
            identity.delete_project(project)


def write(given: Mapping[str, Any]) -> None:
    """The clouds that the SDK finds."""
    Path(os.environ["OS_CLIENT_CONFIG_FILE"]).write_text(yaml.safe_dump({"clouds": dict(given)}), encoding="utf-8")


@pytest.fixture
def folder(clouds: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State of a site whose servers nobody logs in to; whatever a test makes is removed, and nothing else."""
    import openstack

    monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
    cloud = openstack.connect(cloud="member")
    before = belongings(cloud)
    yield tmp_path
    provider = source(tmp_path)
    for name in provider.observe():
        provider.delete(name)
    provider.release()
    assert belongings(cloud) == before


def source(folder: Path, **options: Any) -> OpenStack:
    store = StateStore(folder)
    if store.load() is None:
        store.save(store.new("test"))
    return OpenStack(PREFIX, folder, {**OPTIONS, **options}, {})


def raised(provider: OpenStack) -> Machine:
    [placed] = provider.place([WORKER])[0]
    provider.prepare(lineage(provider), print)
    provider.create(placed, lineage(provider), print)
    return placed


def test_another_flavor_and_larger_volumes(clouds: dict[str, Any], folder: Path) -> None:
    """A server gets another flavor and more room on its volume, and stays the same server at the same address."""
    import openstack

    cloud = openstack.connect(cloud="member")
    first = source(folder, data_volumes={"worker": {"size": 1}})
    placed = raised(first)
    [before] = cloud.compute.servers()
    assert first.changes([WORKER], first.observe()) == {}

    larger = source(folder, data_volumes={"worker": {"size": 2}})
    assert larger.check([WIDE]) == []
    [change] = larger.changes([WIDE], larger.observe()).values()
    assert change.restarts and len(change.reasons) == 2 and not change.anew
    print(*change.reasons, sep="\n")
    began = time.monotonic()
    larger.update(replace(placed, needs=WIDE.needs), print)
    print(f"a larger volume and another flavor in {time.monotonic() - began:.0f} s")
    [after] = cloud.compute.servers()
    assert (after.id, after.status, after.flavor.vcpus) == (before.id, "ACTIVE", 4)
    [volume] = cloud.block_storage.volumes(details=True)
    assert (volume.size, volume.status, volume.attachments[0]["server_id"]) == (2, "in-use", after.id)
    assert larger.changes([WIDE], larger.observe()) == {} and larger.place([WIDE])[0][0].address == placed.address
    smaller = source(folder, data_volumes={"worker": {"size": 1}})
    assert smaller.changes([WIDE], smaller.observe())["worker-1"].anew == ("its data volume has 2 GiB and cannot shrink to 1",)


def test_a_change_that_was_cut_off(clouds: dict[str, Any], folder: Path) -> None:
    """A resize that nobody confirmed is seen, and made to end."""
    import openstack

    compute = openstack.connect(cloud="member").compute
    provider = source(folder)
    placed = raised(provider)
    [server] = compute.servers()
    compute.resize_server(server, compute.find_flavor("m1.large").id)
    compute.wait_for_server(server, "VERIFY_RESIZE", wait=RESIZE_SECONDS)
    assert provider.observe()["worker-1"].state == "changing"
    provider.update(replace(placed, needs=WIDE.needs), print)
    assert provider.observe()["worker-1"].state == "running" and provider.changes([WIDE], provider.observe()) == {}
    [after] = compute.servers()
    assert (after.id, after.status) == (server.id, "ACTIVE")


def test_import(clouds: dict[str, Any], folder: Path) -> None:
    """A floating IP and a volume that the project had before become those of a machine, and go with it."""
    import openstack

    cloud = openstack.connect(cloud="member")
    outside = cloud.network.find_network("public")
    address = cloud.network.create_ip(floating_network_id=outside.id).floating_ip_address
    volume = cloud.block_storage.create_volume(name="results", size=1)
    cloud.block_storage.wait_for_status(volume, "available")
    provider = source(folder, data_volumes={"worker": {"size": 1}}, floating_ips="all")
    for what in (address, volume.id, address, volume.id):
        print(provider.adopt(WORKER, what, lineage(provider)))
    placed = raised(provider)
    assert provider.place([WORKER])[0][0].door == address
    [attached] = cloud.block_storage.volumes(details=True)
    assert (attached.id, attached.status) == (volume.id, "in-use")
    assert provider.changes([placed], provider.observe()) == {}


def test_application_credentials(clouds: dict[str, Any], folder: Path) -> None:
    """Restricted ones, as the dashboard makes them, are enough for a facility; revoked ones are told."""
    import openstack

    identity = openstack.connect(cloud="member").identity
    user = openstack.connect(cloud="member").current_user_id
    made = identity.create_application_credential(user, f"cantiere-{uuid.uuid4().hex[:8]}", roles=[{"name": "member"}])
    assert not made.unrestricted
    at = {"auth_url": clouds["member"]["auth"]["auth_url"]}
    secret = {"application_credential_id": made.id, "application_credential_secret": made.secret}
    entry = {"auth_type": "v3applicationcredential", "region_name": clouds["member"]["region_name"], "auth": {**at, **secret}}
    write({**clouds, "applied": entry})
    try:
        provider = source(folder, cloud="applied")
        assert provider.check([WORKER]) == []
        raised(provider)
        assert provider.prepared() and provider.observe()["worker-1"].state == "running"
        with pytest.raises(openstack.exceptions.ForbiddenException):
            openstack.connect(cloud="applied").identity.create_application_credential(user, "another")
    finally:
        identity.delete_application_credential(user, made)
    [problem] = source(folder, cloud="applied").check([WORKER])
    assert problem.code == "openstack.auth"


def test_who_may_only_read_is_refused(clouds: dict[str, Any], folder: Path) -> None:
    """A reader, and application credentials with the role of a reader, are refused before anything is made."""
    import openstack

    write(clouds)
    member = openstack.connect(cloud="member")
    identity, user = member.identity, member.current_user_id
    made = identity.create_application_credential(user, f"reads-{uuid.uuid4().hex[:8]}", roles=[{"name": "reader"}])
    secret = {"application_credential_id": made.id, "application_credential_secret": made.secret}
    auth = {"auth_url": clouds["member"]["auth"]["auth_url"], **secret}
    write({**clouds, "reads": {"auth_type": "v3applicationcredential", "region_name": "RegionOne", "auth": auth}})
    before = belongings(member)
    for name in ("reader", "reads"):
        found = source(folder, cloud=name).check([WORKER])
        assert [problem.code for problem in found] == ["openstack.rights"], name
    identity.delete_application_credential(user, made)
    assert belongings(member) == before
