"""What is done once, before the bed is kept: schemas, the catalogue, and what every project finds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.openstack.inside.daemons import run, sql
from tests.openstack.layout import ADMIN, EXTERNAL, FLOATING, GATEWAY, IMAGE, PATHS, PORTS, PROJECT, REGION, USER, endpoint

DATABASES = "keystone placement glance nova_api nova nova_cell0 neutron cinder".split()
CELL0 = "mysql+pymysql://root@localhost/nova_cell0?unix_socket=/run/mysqld/mysqld.sock"
GUEST = Path("/srv/guest.raw")
FLAVORS = {
    "m1.tiny": (1, 512, 2),
    "m1.small": (1, 2048, 10),
    "m1.medium": (2, 4096, 20),
    "m1.large": (4, 8192, 40),
    "m1.xlarge": (8, 16384, 80),
    "gpu.large": (8, 16384, 80),
}
"""Name to processors, MiB of memory and GiB of disk."""
GPU = {"resources:VGPU": "1"}
"""No host of the bed has one: a server of that flavor finds no valid host."""
DOMAIN = "default"
COMPUTE_SECONDS = 120.0
POOL = (10, 250)
"""First and last host part of the addresses that floating IPs are taken from."""


def data_folders() -> None:
    """Make MariaDB's system tables, and the folders that services expect."""
    for name in ("mysql", "nova/instances", "glance/images", "glance/staging", "glance/tasks", "cinder/mnt", "neutron"):
        Path("/var/lib", name).mkdir(parents=True, exist_ok=True)
    install = "mariadb-install-db --no-defaults --user=root --datadir=/var/lib/mysql --skip-test-db --innodb-log-file-size=16M"
    run(*install.split(), "--auth-root-authentication-method=normal")


def schemas(secret: str, phase: Callable[[str], None]) -> None:
    """Make all databases and their tables, three at a time; neither order nor number changes what comes out."""
    sql(" ".join(f"create database {name} character set utf8mb3;" for name in DATABASES))

    def identity() -> None:
        run("keystone-manage", "db_sync")
        for repository in ("fernet_setup", "credential_setup"):
            run("keystone-manage", repository, "--keystone-user", "root", "--keystone-group", "root")
        urls = [f"--bootstrap-{kind}-url={endpoint('identity')}" for kind in ("admin", "internal", "public")]
        run("keystone-manage", "bootstrap", f"--bootstrap-password={secret}", f"--bootstrap-region-id={REGION}", *urls)
        phase("schema of keystone")
        run("placement-manage", "db", "sync")
        run("glance-manage", "db_sync")
        run("cinder-manage", "db", "sync")
        phase("schemas of placement, glance and cinder")

    def compute() -> None:
        run("nova-manage", "api_db", "sync")
        run("nova-manage", "cell_v2", "map_cell0", "--database_connection", CELL0)
        run("nova-manage", "db", "sync")
        run("nova-manage", "cell_v2", "create_cell", "--name", "cell1")
        phase("schema of nova")

    def network() -> None:
        files = [f"--config-file=/etc/neutron/{name}" for name in ("neutron.conf", "plugins/ml2/ml2_conf.ini")]
        run("neutron-db-manage", *files, "upgrade", "heads")
        phase("schema of neutron")

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(task) for task in (identity, compute, network)]:
            done.result()


def catalogue(secret: str) -> None:
    """Make the services' own user, the project of a user, and the list of the APIs."""
    identity = _admin(secret).identity
    roles = {role.name: role for role in identity.roles()}
    service = identity.create_project(name="service", domain_id=DOMAIN)
    robot = identity.create_user(name="service", password=secret, domain_id=DOMAIN, default_project_id=service.id)
    for role in ("admin", "service"):
        identity.assign_project_role_to_user(service, robot, roles[role])
    project = identity.create_project(name=PROJECT, domain_id=DOMAIN)
    user = identity.create_user(name=USER, password=secret, domain_id=DOMAIN, default_project_id=project.id)
    identity.assign_project_role_to_user(project, user, roles["member"])
    for kind in PORTS:
        if kind != "identity":
            made = identity.create_service(type=kind, name=kind)
            for interface in ("public", "internal"):
                identity.create_endpoint(service_id=made.id, interface=interface, region_id=REGION, url=endpoint(kind))


def contents(secret: str) -> None:
    """Make flavors, the network of floating IPs, and the image; and let the scheduler know the compute host."""
    cloud = _admin(secret)
    for name, (processors, memory, disk) in FLAVORS.items():
        flavor = cloud.compute.create_flavor(name=name, vcpus=processors, ram=memory, disk=disk)
        if name.startswith("gpu"):
            cloud.compute.create_flavor_extra_specs(flavor, GPU)
    network = cloud.network.create_network(
        name=EXTERNAL, is_router_external=True, provider_network_type="flat", provider_physical_network="physnet1"
    )
    first, last = (str(FLOATING.network_address + offset) for offset in POOL)
    cloud.network.create_subnet(
        network_id=network.id,
        name=EXTERNAL,
        cidr=str(FLOATING),
        ip_version=4,
        gateway_ip=GATEWAY,
        is_dhcp_enabled=False,
        allocation_pools=[{"start": first, "end": last}],
    )
    properties = {"os_distro": "debian", "os_version": "13", "os_admin_user": "debian"}
    cloud.create_image(
        IMAGE, filename=str(GUEST), disk_format="raw", container_format="bare", visibility="public", wait=True, timeout=600, **properties
    )
    GUEST.unlink()
    deadline = time.monotonic() + COMPUTE_SECONDS
    while sql("select count(*) from nova_api.host_mappings").strip() == "0":
        if time.monotonic() > deadline:
            raise RuntimeError("the compute service does not register: /var/log/nova/nova-compute.log")
        run("nova-manage", "cell_v2", "discover_hosts")


def tidy() -> None:
    """Drop what a kept bed does not need."""
    for folder in (Path("/var/log"), Path("/var/cache/apt")):
        for path in folder.rglob("*"):
            if path.is_file():
                path.unlink()
    shutil.rmtree("/root/.cache", ignore_errors=True)


def _admin(secret: str) -> Any:
    import openstack

    where = {"auth_url": f"http://{endpoint('identity').split('/')[2]}{PATHS['identity']}", "username": ADMIN, "project_name": ADMIN}
    return openstack.connect(auth={**where, "password": secret, "user_domain_id": DOMAIN, "project_domain_id": DOMAIN}, region_name=REGION)
