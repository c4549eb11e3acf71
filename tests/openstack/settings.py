"""Configuration files of the services, as they are in the bed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.openstack.layout import API, COMPUTE_HOST, METADATA_PORT, PORTS, REGION, endpoint

Sections = Mapping[str, Mapping[str, object]]

MESSAGES = "rabbit://guest:guest@127.0.0.1:5672/"
MEMCACHED = "127.0.0.1:11211"
OVN_NORTH, OVN_SOUTH = "tcp:127.0.0.1:6641", "tcp:127.0.0.1:6642"
SWITCH = "unix:/run/openvswitch/db.sock"
IDENTITY = f"http://{API}:{PORTS['identity']}/v3"
STATE = "/var/lib"
RECORDS = {"vif_plugging_is_fatal": False, "vif_plugging_timeout": 0}
DRIVERS: Mapping[str, Mapping[str, object]] = {
    "prepare": {"compute_driver": "fake.FakeDriverWithoutFakeNodes", **RECORDS},  # what is kept has the one node that all kinds have
    "fake": {"compute_driver": "records.RecordsDriver", **RECORDS},
    "nspawn": {"compute_driver": "nspawn.NspawnDriver", "vif_plugging_is_fatal": True, "vif_plugging_timeout": 120},
}
"""What the compute service is told for each kind of server, and while the bed is prepared."""


def database(name: str, connections: int = 20) -> Mapping[str, object]:
    """Section for a database of MariaDB, which listens on its socket alone."""
    return {"connection": f"mysql+pymysql://root@localhost/{name}?unix_socket=/run/mysqld/mysqld.sock", "max_pool_size": connections}


def files(secret: str, compute: str) -> dict[Path, str]:
    """Every configuration file: its path below the bed's root, and its text.

    Parameters
    ----------
    secret:
        Password of the services.
    compute:
        One of :data:`DRIVERS`.
    """
    login = {
        "auth_type": "password",
        "auth_url": IDENTITY,
        "project_domain_id": "default",
        "user_domain_id": "default",
        "project_name": "service",
        "username": "service",
        "password": secret,
        "region_name": REGION,
    }
    common = {"service_user": {"send_service_user_token": True, **login}, "oslo_messaging_rabbit": _QUEUES}
    compute_service = {**nova(secret, login), **common, "keystone_authtoken": _token(login, "compute")}
    without_database = {name: keys for name, keys in compute_service.items() if "database" not in name}
    default = {**without_database["DEFAULT"], **DRIVERS[compute], "log_file": "/var/log/nova/nova-compute.log"}
    written: dict[str, Sections] = {
        "keystone/keystone.conf": keystone(),
        "placement/placement.conf": {
            "DEFAULT": {"log_file": "/var/log/placement/placement.log"},
            "api": {"auth_strategy": "keystone"},
            "placement_database": database("placement"),
            "keystone_authtoken": _token(login, "placement"),
        },
        "glance/glance-api.conf": {**glance(), "keystone_authtoken": _token(login, "image")},
        "nova/nova.conf": compute_service,
        "nova/nova-compute.conf": {**without_database, "DEFAULT": default},
        "neutron/neutron.conf": {**neutron(secret, login), **common, "keystone_authtoken": _token(login, "network")},
        "neutron/plugins/ml2/ml2_conf.ini": _ML2,
        "neutron/neutron_ovn_metadata_agent.ini": metadata(secret),
        "cinder/cinder.conf": {**cinder(login), **common, "keystone_authtoken": _token(login, "block-storage")},
    }
    texts = {Path("etc", name): ini(sections) for name, sections in written.items()}
    texts[Path("etc/cinder/nfs_shares")] = "localhost:/volumes\n"
    texts[Path("etc/rabbitmq/rabbitmq.conf")] = "listeners.tcp.local = 127.0.0.1:5672\nvm_memory_high_watermark.absolute = 1GB\n"
    texts[Path("etc/rabbitmq/enabled_plugins")] = "[].\n"
    return texts


def ini(sections: Sections) -> str:
    """The text of a file with sections."""
    lines: list[str] = []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key} = {_text(value)}" for key, value in keys.items()), ""]
    return "\n".join(lines)


def keystone() -> Sections:
    """Identity: its cache is what keeps it from using a whole processor."""
    keys = f"{STATE}/keystone/fernet-keys"
    return {
        "DEFAULT": {"log_file": "/var/log/keystone/keystone.log"},
        "database": database("keystone", 10),
        "token": {"provider": "fernet", "expiration": 3600},
        "fernet_tokens": {"key_repository": keys},
        "fernet_receipts": {"key_repository": keys},
        "credential": {"key_repository": f"{STATE}/keystone/credential-keys"},
        "cache": {"enabled": True, "backend": "dogpile.cache.pymemcache", "memcache_servers": MEMCACHED},
        "identity": {"password_hash_rounds": 4},
        "oslo_policy": {"enforce_new_defaults": True},
    }


def glance() -> Sections:
    """Images, as files."""
    folder = f"{STATE}/glance"
    return {
        "DEFAULT": {
            "log_file": "/var/log/glance/glance-api.log",
            "workers": 1,
            "bind_host": API,
            "bind_port": PORTS["image"],
            "enabled_backends": "file:file",
        },
        "glance_store": {"default_backend": "file"},
        "file": {"filesystem_store_datadir": f"{folder}/images"},
        "os_glance_staging_store": {"filesystem_store_datadir": f"{folder}/staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": f"{folder}/tasks"},
        "database": database("glance", 10),
        "paste_deploy": {"flavor": "keystone"},
        "oslo_concurrency": {"lock_path": f"{folder}/lock"},
    }


def nova(secret: str, login: Mapping[str, object]) -> Sections:
    """Servers."""
    return {
        "DEFAULT": {
            "log_file": "/var/log/nova/nova.log",
            "state_path": f"{STATE}/nova",
            "my_ip": API,
            "host": COMPUTE_HOST,
            "transport_url": MESSAGES,
            "max_concurrent_builds": 20,
            "update_resources_interval": 600,  # it asks for every server, and no other is claimed meanwhile
            "allow_resize_to_same_host": True,
            "service_down_time": 15,
            "report_interval": 5,
            "reserved_host_memory_mb": 0,
            "cpu_allocation_ratio": 64,
            "ram_allocation_ratio": 16,
            "disk_allocation_ratio": 64,
            "force_raw_images": False,
            "metadata_workers": 1,
        },
        "api": {"auth_strategy": "keystone"},
        "api_database": database("nova_api"),
        "database": database("nova"),
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "glance": {"api_servers": endpoint("image")},
        "cinder": {"catalog_info": "block-storage::internalURL", "os_region_name": REGION, **login},
        "placement": login,
        "neutron": {**login, "service_metadata_proxy": True, "metadata_proxy_shared_secret": secret},
        "vnc": {"enabled": False},
        # nodes are alike, and one host to the weighers, who would take the same again and again: any of them
        "filter_scheduler": {"build_failure_weight_multiplier": 0, "host_subset_size": 100},
        "compute": {"consecutive_build_service_disable_threshold": 0},
        "oslo_concurrency": {"lock_path": f"{STATE}/nova/lock"},
    }


def neutron(secret: str, login: Mapping[str, object]) -> Sections:
    """Networks."""
    return {
        "DEFAULT": {
            "log_file": "/var/log/neutron/neutron.log",
            "state_path": f"{STATE}/neutron",
            "host": COMPUTE_HOST,
            "transport_url": MESSAGES,
            "core_plugin": "ml2",
            "service_plugins": "ovn-router,qos,port_forwarding,trunk,segments",
            "auth_strategy": "keystone",
            "api_workers": 1,
            "rpc_workers": 0,  # OVN's parts talk to its databases, not to a queue
            "rpc_state_report_workers": 0,
            "dns_domain": "openstacklocal.",
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            "global_physnet_mtu": 1500,
            "metadata_proxy_shared_secret": secret,
        },
        "agent": {"root_helper": ""},
        "database": database("neutron"),
        "nova": login,
        "placement": login,
        "oslo_concurrency": {"lock_path": f"{STATE}/neutron/lock"},
    }


def metadata(secret: str) -> Sections:
    """What serves a server its own data at 169.254.169.254."""
    return {
        "DEFAULT": {
            "log_file": "/var/log/neutron/metadata.log",
            "state_path": f"{STATE}/neutron",
            "host": COMPUTE_HOST,
            "nova_metadata_host": API,
            "nova_metadata_port": METADATA_PORT,
            "metadata_proxy_shared_secret": secret,
            "metadata_workers": 1,
        },
        "agent": {"root_helper": ""},
        "ovn": {"ovn_sb_connection": OVN_SOUTH, "ovn_nb_connection": OVN_NORTH},
        "ovs": {"ovsdb_connection": SWITCH},
    }


def cinder(login: Mapping[str, object]) -> Sections:
    """Volumes: files of the NFS driver, whose share is a folder of memory."""
    folder = f"{STATE}/cinder"
    return {
        "DEFAULT": {
            "log_file": "/var/log/cinder/cinder.log",
            "state_path": folder,
            "my_ip": API,
            "host": COMPUTE_HOST,
            "transport_url": MESSAGES,
            "auth_strategy": "keystone",
            "enabled_backends": "nfs",
            "default_volume_type": "__DEFAULT__",
            "glance_api_servers": endpoint("image"),
            "report_interval": 5,
            "service_down_time": 15,
            "rootwrap_config": "/etc/cinder/rootwrap.conf",
        },
        "nfs": {
            "volume_backend_name": "nfs",
            "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
            "nfs_shares_config": "/etc/cinder/nfs_shares",
            "nfs_mount_point_base": f"{folder}/mnt",
            "nas_secure_file_operations": False,
            "nas_secure_file_permissions": False,
            "nfs_sparsed_volumes": True,
            "max_over_subscription_ratio": 200,  # volumes are empty files
        },
        "database": database("cinder"),
        "nova": {"interface": "internal", **login},
        "oslo_concurrency": {"lock_path": f"{folder}/lock"},
    }


_QUEUES: Mapping[str, object] = {"rabbit_quorum_queue": False, "amqp_durable_queues": False}

_ML2: Sections = {
    "ml2": {
        "mechanism_drivers": "ovn",
        "type_drivers": "local,flat,geneve",
        "tenant_network_types": "geneve",
        "extension_drivers": "port_security,dns,qos",  # the service plugin qos needs its own here
        "overlay_ip_version": 4,
    },
    "ml2_type_geneve": {"vni_ranges": "1:65536", "max_header_size": 38},
    "ml2_type_flat": {"flat_networks": "physnet1"},
    "securitygroup": {"enable_security_group": True},
    "ovn": {
        "ovn_nb_connection": OVN_NORTH,
        "ovn_sb_connection": OVN_SOUTH,
        "ovn_metadata_enabled": True,
        "enable_distributed_floating_ip": False,
        "ovn_emit_need_to_frag": False,
    },
}


def _token(login: Mapping[str, object], service: str) -> Mapping[str, object]:
    return {
        "www_authenticate_uri": IDENTITY,
        "service_token_roles_required": True,
        "service_token_roles": "service",
        "memcached_servers": MEMCACHED,
        "service_type": service,
        **login,
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
