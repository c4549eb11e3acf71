"""The provider openstack's pure rules: options, flavors, security groups, quota, marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cantiere.machines.model import Machine
from cantiere.providers.openstack import marks, options, quota, rules
from cantiere.providers.openstack.flavors import Flavor, explained, fitting, gpus_of, needs_of, unfit
from cantiere.providers.openstack.quota import Ask, Limit
from cantiere.providers.openstack.rules import CONTROL, MACHINES, Rule
from support.tree import REPOSITORY

GIVEN: dict[str, Any] = {
    "type": "openstack",
    "cloud": "small",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": "debian-13",
    "admin_cidrs": ["192.0.2.0/24"],
}
GIB = 1 << 30
FLAVORS = [
    Flavor("tiny", "1", 1, GIB, 10 * GIB),
    Flavor("wide", "2", 8, 8 * GIB, 20 * GIB),
    Flavor("small", "3", 2, 4 * GIB, 20 * GIB),
    Flavor("small-gpu", "4", 2, 4 * GIB, 20 * GIB, gpus=1),
    Flavor("bare", "5", 4, 8 * GIB, 0),
]


@pytest.mark.parametrize(
    ("change", "at", "words"),
    [
        ({"cloud": ""}, "provider.cloud", "cloud is missing"),
        ({"password": "x"}, "provider.password", "password is no part of a site's file"),
        ({"auth": {}}, "provider.auth", "auth is no part of a site's file"),
        ({"flavours": []}, "provider.flavours", "there is no option 'flavours'"),
        ({"admin_cidrs": []}, "provider.admin_cidrs", "admin_cidrs names no network"),
        ({"admin_cidrs": ["192.0.2.7/24"]}, "provider.admin_cidrs.0", "has host bits set"),
        ({"network": {"subnet": "10.0.0.0/28", "external": "p"}}, "provider.network.subnet", "too small"),
        ({"network": {"subnet": "10.0.0.0/24"}}, "provider.network.external", "external network is missing"),
        (
            {"network": {**GIVEN["network"], "first_address": "10.31.0.4"}},
            "provider.network.first_address",
            "is no address of 10.30.0.0/24",
        ),
        ({"floating_ips": "some"}, "provider.floating_ips", "cannot be 'some'"),
        ({"boot_volume": {"size": "40 GB"}}, "provider.boot_volume.size", "is no size in GiB"),
        ({"data_volumes": {"worker": {"size": 4, "kind": "ssd"}}}, "provider.data_volumes.worker.kind", "has no 'kind'"),
        ({"open_ports": [{"port": 443}]}, "provider.open_ports.0.from", "from names no network"),
        (
            {"open_ports": [{"port": 443, "protocol": "http", "from": ["0.0.0.0/0"]}]},
            "provider.open_ports.0.protocol",
            "protocol cannot be",
        ),
        ({"image": {}}, "provider.image", "image is missing"),
        ({"zones": "nova"}, "provider.zones", "zones is no list"),
        ({"other_flavors": "yes"}, "provider.other_flavors", "neither true nor false"),
        ({"pool_flavors": ["spot.*"]}, "provider.pool_flavors", "no mapping of lists"),
        ({"pool_flavors": {"preemptible": "spot.*"}}, "provider.pool_flavors", "no mapping of lists"),
    ],
)
def test_options_that_are_wrong(change: dict[str, Any], at: str, words: str) -> None:
    found, problems = options.read({**GIVEN, **change}, None)
    assert found is None
    assert [(problem.path, words in problem.message, bool(problem.remedy)) for problem in problems] == [(at, True, True)]


def test_places_of_options(tmp_path: Path) -> None:
    """What is wrong is shown where it stands in the site's file."""
    file = tmp_path / "cantiere.yml"
    file.write_text("site: lab\nprovider:\n  type: openstack\n  cloud: small\n  admin_cidrs: [192.0.2.0/24, here]\n", encoding="utf-8")
    _, problems = options.read({**GIVEN, "admin_cidrs": ["192.0.2.0/24", "here"]}, file)
    assert [str(problem.where) for problem in problems] == [f"{file}:5:31"]


def test_defaults() -> None:
    found, problems = options.read(GIVEN, None)
    assert found is not None and not problems
    assert (str(found.network.first), str(found.network.last)) == ("10.30.0.20", "10.30.0.250")
    assert (found.floating_ips, found.anti_affinity, found.image, found.open_ports) == ("control-plane", "soft", {"name": "debian-13"}, ())


def test_a_pool_may_have_flavors_of_its_own() -> None:
    found, _ = options.read({**GIVEN, "flavors": ["m1.*"], "pool_flavors": {"preemptible": ["spot.*"]}}, None)
    assert found is not None and (found.flavors_of("preemptible"), found.flavors_of("worker")) == (("spot.*",), ("m1.*",))


def test_the_example_is_valid() -> None:
    from cantiere import site

    found = site.load(REPOSITORY / "inventories" / "openstack" / "cantiere.yml")
    read, problems = options.read(found.provider, found.file)
    assert read is not None and problems == []


@pytest.mark.parametrize(
    ("needs", "allowed", "names"),
    [
        ({"num_cpus": 2}, (), ["small", "bare", "wide", "small-gpu"]),
        ({"num_cpus": 2, "disk_size": 15 * GIB}, (), ["small", "wide", "small-gpu"]),
        ({"num_gpus": 1}, (), ["small-gpu"]),
        ({"mem_size": 8 * GIB}, ("w*",), ["wide"]),
        ({"num_cpus": 64}, (), []),
    ],
)
def test_the_smallest_flavor_that_fits(needs: dict[str, int], allowed: tuple[str, ...], names: list[str]) -> None:
    wanted = {"num_cpus": 0, "mem_size": 0, "disk_size": 0, "num_gpus": 0, **needs}
    assert [flavor.name for flavor in fitting(FLAVORS, wanted, allowed)] == names


def test_the_choice_is_explained() -> None:
    machine = Machine("worker-1", "worker", ("worker",), "", needs={"num_cpus": 2, "mem_size": 3 * GIB})
    needs = needs_of(machine, own_disk=True)
    chosen = fitting(FLAVORS, needs)[0]
    assert explained(chosen, FLAVORS, needs) == (
        "small (2 cores, 4 GiB of memory, 20 GiB of disk): the smallest with 2 cores, 3 GiB of memory, 10 GiB of disk; "
        "2 of 5 flavors are too small"
    )
    told = unfit(machine, FLAVORS, {**needs, "num_cpus": 9}, ("small", "wide"))
    assert told.path == "worker-1"
    assert "of those that the site allows (small, wide) has 9 cores" in told.message and "wide has only 8 cores" in told.message


def test_least_needs() -> None:
    """A pool that asks for nothing gets what its machines need to work at all."""
    control = needs_of(Machine("control-1", "control", ("control-plane",), ""), own_disk=True)
    assert control["num_cpus"] == 2 and control["mem_size"] > GIB and control["disk_size"] == 10 * GIB
    assert needs_of(Machine("control-1", "control", ("control-plane",), ""), own_disk=False)["disk_size"] == 0


@pytest.mark.parametrize(
    ("specs", "number"),
    [
        ({}, 0),
        ({"pci_passthrough:alias": "a100:2"}, 2),
        ({"pci_passthrough:alias": "nvidia-t4:1, nic:2"}, 1),
        ({"resources:VGPU": "1"}, 1),
        ({"resources1:CUSTOM_GPU_V100": "4"}, 4),
        ({"hw:cpu_policy": "dedicated"}, 0),
    ],
)
def test_gpus_of_a_flavor(specs: dict[str, str], number: int) -> None:
    assert gpus_of(specs) == number


def test_only_what_is_asked_for_is_open() -> None:
    found, _ = options.read({**GIVEN, "open_ports": [{"port": 443, "from": ["0.0.0.0/0"]}]}, None)
    assert found is not None
    made = rules.rules(found, "10.244.0.0/16")
    assert made[MACHINES] == {
        Rule(),
        Rule(source="10.244.0.0/16"),
        Rule("tcp", 22, "192.0.2.0/24"),
        Rule("icmp", 0, "192.0.2.0/24"),
        Rule("tcp", 443, "0.0.0.0/0"),
    }
    assert made[CONTROL] == {Rule("tcp", 6443, "192.0.2.0/24"), Rule("tcp", 5001, "192.0.2.0/24")}
    closed, _ = options.read(GIVEN, None)
    assert closed is not None
    everywhere = [rule for group in rules.rules(closed, "10.244.0.0/16").values() for rule in group if rule.source == "0.0.0.0/0"]
    assert everywhere == []


def test_rules_are_known_again() -> None:
    """What Neutron tells of a rule is the rule; what ours cannot say counts as foreign."""
    empty = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
    every = [Rule(), Rule(source="10.244.0.0/16"), Rule("tcp", 22, "192.0.2.0/24"), Rule("icmp", 0, "192.0.2.0/24"), Rule("udp", 1, "", 9)]
    listed = [{**empty, **rule.body("group", "machines"), "id": str(number)} for number, rule in enumerate(every)]
    assert rules.seen(listed, "machines") == {rule: str(number) for number, rule in enumerate(every)}
    strange = [
        {**empty, "id": "a", "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        {**empty, "id": "b", "direction": "ingress", "ethertype": "IPv6"},
        {**empty, "id": "c", "direction": "ingress", "ethertype": "IPv4", "remote_group_id": "another"},
        {**empty, "id": "d", "direction": "egress", "ethertype": "IPv4"},
        {**empty, "id": "e", "direction": "ingress", "ethertype": "IPv4"},
    ]
    assert rules.seen(strange, "machines") == {
        Rule(source="?a"): "a",
        Rule(source="?b"): "b",
        Rule(source="?c"): "c",
        Rule(source="0.0.0.0/0"): "e",
    }


def test_quota() -> None:
    asks = [Ask("control-1", {"cores": 2, "ports": 1}), Ask("worker-1", {"cores": 4})]
    limits = {"cores": Limit(8, 4), "ports": Limit(1, 0), "instances": Limit(0), "ram": Limit(-1, 9)}
    [problem] = quota.short(asks, limits, "lab")
    assert problem.message == "the plan needs 6 more cores, 4 of 8 are left: 2 are missing (control-1 2, worker-1 4)"
    assert "raise the quota of cores to 10" in problem.remedy
    assert quota.short(asks, {"cores": Limit(-1, 99)}, "lab") == []
    many = [Ask(f"worker-{number}", {"ports": 1}) for number in range(1, 10)]
    assert "(worker-1 1, worker-2 1, worker-3 1, worker-4 1, worker-5 1, worker-6 1, and 3 machines more)" in str(
        quota.short(many, {"ports": Limit(5)}, "lab")[0]
    )


@pytest.mark.parametrize("mark", [marks.Mark("cantiere-lab", "3f0c"), marks.Mark("cantiere-lab", "3f0c", "worker-1")])
def test_marks(mark: marks.Mark) -> None:
    assert marks.read(str(mark)) == mark


@pytest.mark.parametrize(
    "text", ["", "cantiere", "cantiere lab", "another lab 3f0c", "cantiere lab 3f0c worker-1 more", "cantiere-lab 3f0c"]
)
def test_texts_that_are_no_marks(text: str) -> None:
    assert marks.read(text) is None
