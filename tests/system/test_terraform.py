"""Provider terraform with OpenTofu and our module on a real OpenStack: machines, a cluster, the lock, kills, and a project as before."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.errors import CantiereError
from cantiere.machines.model import Machine, Opening
from cantiere.machines.ssh import Ssh
from cantiere.providers.terraform import Terraform
from cantiere.providers.terraform.program import JOURNAL, RUN
from cantiere.state import write_atomic
from cantiere.supply import ensure
from cantiere.supply.pins import Anywhere, own_architecture
from support.testbed import belongings, delete, named, running, start
from support.tree import REPOSITORY
from system.test_openstack import opens

pytestmark = pytest.mark.full

PREFIX = LINEAGE = PROJECT = "ctof"
OPTIONS: dict[str, Any] = {
    "type": "terraform",
    "module": "openstack",
    "image": "debian-13",
    "network": {"subnet": "10.31.0.0/24"},
    "admin_cidrs": ["10.144.0.0/12"],
    "variables": {"cloud": "testbed", "external_network": "public", "flavors": ["m1.small", "m1.medium", "m1.large"]},
}
KUBERNETES = {"virtual_address": "10.31.0.10"}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKER = Machine("worker-1", "worker", ("worker",), "")
RAISE = "import sys; from system.test_terraform import raised, source; raised(source(sys.argv[1]))"
HOLD = "import fcntl, sys, time; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True); time.sleep(600)"
SITE: dict[str, Any] = {
    "plugin": "cantiere",
    "site": f"{PREFIX}-cluster",
    "template": str(REPOSITORY / "tosca/templates/cluster.yaml"),
    "inputs": "inputs.yml",
    "platform": "kubernetes",
    "provider": OPTIONS,
    "kubernetes": {**KUBERNETES, "machine_networks": [OPTIONS["network"]["subnet"]]},
    "state_dir": f"/var/lib/cantiere/{PREFIX}-cluster",
}
DOOR = 30443
MAKING = re.compile(r'"resource_type":"openstack_networking_floatingip_v2".*"type":"apply_start"')
STARTED = (
    re.compile(r'"resource_type":"openstack_compute_instance_v2".*"type":"apply_start"'),
    re.compile(r'"resource_type":"openstack_networking_floatingip_v2".*"type":"apply_complete"'),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A project of its own on a real OpenStack whose servers one can log in to; a bed that is up already stays up."""
    import openstack

    with running("nspawn"):
        given = yaml.safe_load(Path(named()["OS_CLIENT_CONFIG_FILE"]).read_text(encoding="utf-8"))
        admin = openstack.connect(load_envvars=False, **_loaded(given, "testbed-admin"))
        password = secrets.token_urlsafe()
        for left in (*admin.identity.users(name=PROJECT), *admin.identity.projects(name=PROJECT)):
            left.delete(admin.identity)
        project = admin.identity.create_project(name=PROJECT, domain_id="default")
        user = admin.identity.create_user(name=PROJECT, domain_id="default", password=password)
        admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
        given["clouds"]["testbed"]["auth"] |= {"username": PROJECT, "password": password, "project_name": PROJECT}
        mine = tmp_path_factory.mktemp("cloud") / "clouds.yaml"
        write_atomic(mine, yaml.safe_dump(given))
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(mine)
        yield openstack.connect(load_envvars=False, **_loaded(given, "testbed"))
        del os.environ["OS_CLIENT_CONFIG_FILE"]
        for group in admin.network.security_groups(project_id=project.id):  # its default one
            admin.network.delete_security_group(group)
        admin.identity.delete_user(user)
        admin.identity.delete_project(project)


def _loaded(given: dict[str, Any], name: str) -> dict[str, Any]:
    """A cloud of a clouds.yaml as arguments of a connection."""
    return {"auth": given["clouds"][name]["auth"], "region_name": given["clouds"][name]["region_name"]}


def source(folder: str | Path, *doors: Opening, **given: Any) -> Terraform:
    """The provider of a site whose state is in a folder, and whose template asks for public ports."""
    return Terraform(PREFIX, Path(folder), {**OPTIONS, **given}, KUBERNETES, Anywhere(), None, doors)


def raised(provider: Terraform, *machines: Machine, answering: bool = False) -> tuple[Machine, ...]:
    """Machines made at the same time; with ``answering``, with their log-in."""
    wanted = machines or (CONTROL, WORKER)
    placed, problems = provider.place(wanted)
    assert problems == []
    provider.prepare(LINEAGE, print)

    def make(machine: Machine) -> None:
        if answering:
            provider.create(machine, LINEAGE, print)
        else:
            provider.make(machine)

    with ThreadPoolExecutor(len(placed)) as pool:
        for done in [pool.submit(make, machine) for machine in placed]:
            done.result()
    return provider.place(wanted)[0]


def states(provider: Terraform) -> dict[str, str]:
    return {name: found.state for name, found in provider.observe().items()}


def codes(error: CantiereError) -> set[str]:
    return {problem.code for problem in error.problems}


def world(cloud: Any) -> set[tuple[int | None, int | None]]:
    """First and last port of what the project's groups let in from everywhere."""
    groups = cloud.network.security_groups(project_id=cloud.current_project_id)
    every = [rule for group in groups for rule in group.security_group_rules if rule["direction"] == "ingress"]
    wide = [rule for rule in every if not rule["remote_group_id"] and rule["remote_ip_prefix"] in (None, "0.0.0.0/0", "::/0")]
    return {(rule["port_range_min"], rule["port_range_max"]) for rule in wide}


@pytest.fixture
def folder(cloud: Any, tmp_path: Path) -> Iterator[Path]:
    """State of a site; whatever a test makes is removed, and nothing else."""
    before = belongings(cloud)
    yield tmp_path
    provider = source(tmp_path)
    provider.release()
    provider.release()
    end = time.monotonic() + 60
    while belongings(cloud) != before and time.monotonic() < end:  # a cloud lists a server for a moment that is gone
        time.sleep(2)
    assert belongings(cloud) == before
    assert not provider.holds()


def test_public_ports(cloud: Any, folder: Path) -> None:
    """A port that the template asks for is open to everybody on the machines that it is asked for; it closes when nobody asks any more."""
    [control] = raised(source(folder), CONTROL, answering=True)
    ssh = Ssh(folder / "ssh")
    ssh.write([control])
    assert ssh.pin([control]) == []
    for port in (DOOR, DOOR + 1):
        ssh.must("control-1", f"systemd-run --quiet python3 -m http.server {port}")
        ssh.must("control-1", f"for i in $(seq 20); do ss -Htln | grep -q :{port} && exit; sleep 1; done; exit 1")
    ssh.close()

    def reached() -> list[int]:
        return [port for port in (22, DOOR, DOOR + 1) if opens(control.door, port)]

    assert world(cloud) == set() and reached() == [22]
    public = source(folder, Opening("ingress", DOOR, DOOR))
    told = f"group machines opens tcp {DOOR} to 0.0.0.0/0, asked for by node ingress of the template"
    assert (public.prepared(), public.whole(), public.adjustments()) == (False, True, (told,))
    public.prepare(LINEAGE, print)
    assert public.prepared() and world(cloud) == {(DOOR, DOOR)} and reached() == [22, DOOR]
    pool = source(folder, Opening("control", DOOR, DOOR + 1, pool="control"), Opening("worker", DOOR + 2, DOOR + 2, pool="worker"))
    pool.prepare(LINEAGE, print)
    assert pool.prepared() and world(cloud) == {(DOOR, DOOR + 1), (DOOR + 2, DOOR + 2)} and reached() == [22, DOOR, DOOR + 1]
    source(folder).prepare(LINEAGE, print)
    assert world(cloud) == set() and reached() == [22]


def test_machines(cloud: Any, folder: Path) -> None:
    """Machines are made together, found, stopped, healed and removed."""
    provider = source(folder)
    assert provider.check([CONTROL, WORKER]) == []
    lacking = provider.check([CONTROL, Machine("big-1", "big", ("worker",), "", needs={"num_cpus": 64})])
    assert len(lacking) == 1 and "big-1: no flavor of" in lacking[0].message
    assert any("nowhere" in str(problem) for problem in source(folder, image="nowhere").check([CONTROL]))
    began = time.monotonic()
    placed = raised(provider, answering=True)
    print(f"\n  from nothing to 2 machines: {time.monotonic() - began:.1f} s")
    assert states(provider) == {"control-1": "running", "worker-1": "running"}
    assert provider.prepared()
    again = source(folder)
    assert again.place([CONTROL, WORKER])[0] == placed and placed[0].door and placed[1].jump == "control-1"
    servers = {server.name: server for server in cloud.compute.servers()}
    assert set(servers) == {f"{PREFIX}-control-1", f"{PREFIX}-worker-1"}
    assert servers[f"{PREFIX}-worker-1"].flavor["original_name"] == "m1.small"
    assert servers[f"{PREFIX}-control-1"].flavor["original_name"] == "m1.medium"
    state = (provider.folder / "terraform.tfstate").read_text(encoding="utf-8")
    assert "PRIVATE KEY" not in state
    assert {path.stat().st_mode & 0o077 for path in provider.folder.glob("*tf*")} - {0o044} == {0}

    provider.stop("worker-1")
    assert states(provider)["worker-1"] == "stopped"
    delete(cloud, servers[f"{PREFIX}-worker-1"])
    assert states(provider) == {"control-1": "running", "worker-1": "broken"}
    raised(provider, WORKER)
    assert states(provider) == {"control-1": "running", "worker-1": "running"}
    group = next(iter(cloud.network.security_groups(name=f"{PREFIX}-machines", project_id=cloud.current_project_id)))
    rule = next(item["id"] for item in group.security_group_rules if item["remote_ip_prefix"] == OPTIONS["admin_cidrs"][0])
    cloud.network.delete_security_group_rule(rule)
    assert not provider.prepared()
    provider.prepare(LINEAGE, print)
    assert provider.prepared()
    provider.delete("worker-1")
    assert states(provider) == {"control-1": "running"}
    with pytest.raises(CantiereError) as error:
        source(folder, network={"subnet": "10.32.0.0/24"}).prepare(LINEAGE, print)
    assert codes(error.value) == {"terraform.replaces"}
    provider.prepare(LINEAGE, print)


def test_locked(folder: Path) -> None:
    """Where another run holds the state, this one ends, says so, and changes nothing."""
    provider = source(folder)
    provider.prepare(LINEAGE, print)
    command = [sys.executable, "-c", HOLD, str(provider.folder / "terraform.tfstate")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(CantiereError) as error:
            raised(provider, WORKER)
        holder.kill()
    assert codes(error.value) == {"terraform.locked"} and "wait for it to end" in str(error.value)
    raised(provider, WORKER)
    assert states(provider) == {"worker-1": "running"}


def begun(folder: Path, *awaited: re.Pattern[str]) -> tuple[subprocess.Popen[bytes], int]:
    """A run in a process of its own whose journal has what is waited for, and the program's process."""
    process = start("-c", RAISE, str(folder))
    journal, end = folder / "terraform" / JOURNAL, time.monotonic() + 600
    while not (journal.is_file() and all(pattern.search(journal.read_text(encoding="utf-8")) for pattern in awaited)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    plan = str(folder / "terraform" / "last.tfplan").encode()
    tofu = next(path for path in Path("/proc").glob("[0-9]*/cmdline") if plan in _words(path) and b"apply" in _words(path))
    return process, int(tofu.parent.name)


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # it has ended
        return []


def test_killed(cloud: Any, folder: Path) -> None:
    """A run that is killed with its program while servers are made goes on with the same command; none is made twice or forgotten."""
    process, tofu = begun(folder, *STARTED)
    time.sleep(2)
    process.kill()
    os.kill(tofu, signal.SIGKILL)
    process.wait()
    there = {server.id for server in cloud.compute.servers()}
    assert there, "it was killed after it had asked for servers"
    provider = source(folder)
    raised(provider)
    assert states(provider) == {"control-1": "running", "worker-1": "running"}
    assert sorted(server.name for server in cloud.compute.servers()) == [f"{PREFIX}-control-1", f"{PREFIX}-worker-1"]
    assert provider.prepared()


@pytest.mark.parametrize("end", ["again", "down"])
def test_killed_while_a_floating_ip_is_made(cloud: Any, folder: Path, end: str) -> None:
    """One that the cloud made and the program does not know is found by its mark, and removed; one without our mark stays."""
    outside, mine = cloud.network.find_network("public"), {"project_id": cloud.current_project_id}
    foreign = cloud.network.create_ip(floating_network_id=outside.id, description=f"of {PREFIX} {LINEAGE} control-1")
    try:
        process, tofu = begun(folder, MAKING)
        os.kill(tofu, signal.SIGSTOP)  # its plugin goes on, and nobody hears of it
        limit = time.monotonic() + 60
        while not (left := [item for item in cloud.network.ips(**mine) if item.id != foreign.id]) and time.monotonic() < limit:
            time.sleep(0.2)
        process.kill()
        os.kill(tofu, signal.SIGKILL)
        process.wait()
        [lost] = left
        assert lost.description == f"cantiere {PREFIX} {LINEAGE} control-1" and lost.id not in (folder / "terraform" / JOURNAL).read_text()
        provider = source(folder)
        if end == "again":
            control, _ = raised(provider)
            assert {item.floating_ip_address for item in cloud.network.ips(**mine)} == {foreign.floating_ip_address, control.door}
            assert states(provider) == {"control-1": "running", "worker-1": "running"}
        else:
            provider.release()
            assert [item.id for item in cloud.network.ips(**mine)] == [foreign.id]
        assert lost.id not in {item.id for item in cloud.network.ips(**mine)}
    finally:
        cloud.network.delete_ip(foreign)


def test_killed_alone(folder: Path) -> None:
    """A program whose caller is killed goes on to its end; who comes meanwhile is told so, and finds the machines made."""
    process, tofu = begun(folder, *STARTED)
    process.kill()
    process.wait()
    provider = source(folder)
    if Path(f"/proc/{tofu}").exists():
        try:
            provider.prepare(LINEAGE, print)
        except CantiereError as error:
            assert codes(error) == {"terraform.locked"}
    end = time.monotonic() + 300
    while Path(f"/proc/{tofu}").exists() and time.monotonic() < end:
        time.sleep(0.5)
    assert states(provider) == {"control-1": "running", "worker-1": "running"}


def test_validates(folder: Path) -> None:
    """Our module, and the one of the documentation, are valid to the program itself, and written as it writes them."""
    provider = source(folder)
    provider.runs.ready()
    assert validated(provider) == []

    text = (REPOSITORY / "docs/how-to/terraform.md").read_text(encoding="utf-8")
    module = folder / "modules" / "libvirt"
    write_atomic(module / "main.tf", text.partition("```none\n")[2].partition("```")[0])
    stored = ensure(["terraform-provider-libvirt"], Anywhere(), own_architecture(), print)["terraform-provider-libvirt"]
    place = folder / "plugins" / "registry.opentofu.org" / "dmacvicar" / "libvirt" / stored.version / f"linux_{stored.arch}"
    place.parent.mkdir(parents=True)
    place.symlink_to(stored.folder)
    settings = folder / "settings.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{folder / "plugins"}" }}\n}}\n', encoding="utf-8")
    os.environ["TF_CLI_CONFIG_FILE"] = str(settings)
    try:
        given = {"module": str(module), "variables": {"uri": "test:///default"}, "floating_ips": "none"}
        other = source(folder / "libvirt", **given)
        other.runs.ready()
        assert validated(other) == []
    finally:
        del os.environ["TF_CLI_CONFIG_FILE"]


def validated(provider: Terraform) -> list[Any]:
    """What the program says against the site's root module with its module, and against how that is written."""
    done = subprocess.run([provider.folder / RUN, "validate", "-json"], cwd=provider.folder, capture_output=True, text=True, check=False)
    command = [provider.folder / RUN, "fmt", "-check", "-diff", provider.options.module]
    written = subprocess.run(command, cwd=provider.folder, capture_output=True, text=True, check=False)
    return [*json.loads(done.stdout)["diagnostics"], *([written.stdout] if written.returncode else [])]


def test_cluster(cantiere: Any, cloud: Any, tmp_path: Path) -> None:
    """From nothing to nodes that are ready: Ansible reaches both, one through the other; again, nothing changes; then all is gone."""
    site, before = tmp_path / "cantiere.yml", belongings(cloud)
    site.write_text(yaml.safe_dump(SITE), encoding="utf-8")
    (site.parent / "inputs.yml").write_text("{control_machines: 1, worker_machines: 1}\n", encoding="utf-8")
    named = ("--site", str(site))
    try:
        made = cantiere.json("up", *named)
        print(
            f"\n  from nothing to a cluster: {made['seconds']} s, { {name: value for name, value in made['plays'].items() if value >= 1} }"
        )
        rows = {row["machine"]: row for row in cantiere.json("status", *named)["machines"]}
        assert {name: (row["state"], row["node"]) for name, row in rows.items()} == dict.fromkeys(
            ("control-1", "worker-1"), ("running", "Ready")
        )
        assert cantiere.run("ssh", *named, "worker-1", "hostname; id -un").stdout.split() == ["worker-1", "root"]
        ansible = [Path(sys.executable).with_name("ansible"), "-i", site, "machines", "-m", "ansible.builtin.ping"]
        pinged = subprocess.run(ansible, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert pinged.returncode == 0 and pinged.stdout.count('"pong"') == 2, pinged.stdout + pinged.stderr
        again = cantiere.json("up", *named)
        print(f"  again: {again['seconds']} s")
        assert (again["steps"], again["changed"]) == ([], 0)
        assert cantiere.run("plan", *named, "--exit-code").returncode == 0
        assert world(cloud) == set()
    finally:
        began = time.monotonic()
        cantiere.run("down", *named)
        print(f"  down: {time.monotonic() - began:.0f} s")
    assert belongings(cloud) == before
    assert not Path(SITE["state_dir"]).exists()
