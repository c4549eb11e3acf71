"""Which provider a site names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cantiere.machines.model import Opening
from cantiere.model import Condition
from cantiere.providers.base import Provider
from cantiere.site import Site


def provider_of(site: Site, filters: Mapping[str, tuple[Condition, ...]], doors: Sequence[Opening] = ()) -> Provider:
    """The provider of a site's machines.

    Parameters
    ----------
    site:
        Its file names the provider.
    filters:
        Pool to the node filter of its machines.
    doors:
        Ports of machines that nodes of the template open to the outside.

    Raises
    ------
    TemplateError
        The site gives the provider options that it does not take.
    """
    if site.provider["type"] == "hosts":
        from cantiere.providers.hosts import Hosts

        return Hosts(site.prefix, site.state_dir, site.provider, site.file, filters)
    if site.provider["type"] == "openstack":
        from cantiere.providers.openstack import OpenStack

        return OpenStack(site.prefix, site.state_dir, site.provider, site.kubernetes, site.file, doors)
    if site.provider["type"] == "terraform":
        from cantiere.providers.terraform import Terraform

        return Terraform(site.prefix, site.state_dir, site.provider, site.kubernetes, site, site.file, doors)
    from cantiere.providers.nspawn import Nspawn

    return Nspawn(site.prefix, site.state_dir, site.provider)
