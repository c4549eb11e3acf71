"""Which provider a site names."""

from __future__ import annotations

from cantiere.providers.base import Provider
from cantiere.site import Site


def provider_of(site: Site) -> Provider:
    """The provider of a site's machines.

    Raises
    ------
    TemplateError
        The site gives the provider options that it does not take.
    """
    if site.provider["type"] == "hosts":
        from cantiere.providers.hosts import Hosts

        return Hosts(site.prefix, site.state_dir, site.provider)
    from cantiere.providers.nspawn import Nspawn

    return Nspawn(site.prefix, site.state_dir, site.provider)
