"""Names, folders and addresses of the bed."""

from __future__ import annotations

import ipaddress
from pathlib import Path

NAME = "cantiere-openstack"
HOME = Path("/var/lib") / NAME
"""Everything of a bed that is up; ``down`` removes it."""
CLOUDS = HOME / "clouds.yaml"

SUBNET = ipaddress.IPv4Network("10.150.0.0/16")
HOST = "10.150.0.1"
API = "10.150.0.2"
LINK = 30
"""Prefix length of the cable between this machine and the bed."""
FLOATING = ipaddress.IPv4Network("10.150.1.0/24")
GATEWAY = "10.150.1.1"
CABLE = "openstack-bed"
UPLINK = "uplink"
"""The two ends of the cable: on this machine, and in the bed."""

REGION = "RegionOne"
EXTERNAL = "public"
COMPUTE_HOST = "compute1"
IMAGE = "debian-13"
USER, PROJECT = "physicist", "facility"
ADMIN = "admin"
COMPUTE = ("fake", "nspawn")

PORTS = {"identity": 5000, "placement": 8778, "network": 9696, "compute": 8774, "image": 9292, "block-storage": 8776}
METADATA_PORT = 8775
PATHS = {"identity": "/v3", "compute": "/v2.1", "block-storage": "/v3"}


def endpoint(service: str) -> str:
    """Address of a service's API."""
    return f"http://{API}:{PORTS[service]}{PATHS.get(service, '')}"
