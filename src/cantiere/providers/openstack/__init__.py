"""Machines as servers of an OpenStack project, with their network, security groups, volumes and floating IPs."""

from cantiere.providers.openstack.provider import OpenStack

__all__ = ["OpenStack"]
