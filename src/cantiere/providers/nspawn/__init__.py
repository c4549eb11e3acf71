"""Machines as system containers on this host: systemd in a container, a cheap and honest stand-in for a virtual machine."""

from cantiere.providers.nspawn.provider import Nspawn

__all__ = ["Nspawn"]
