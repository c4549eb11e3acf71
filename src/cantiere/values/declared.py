"""What a template's add-ons will make of a cluster, told before they are there: the first run's values equal the second's. Pure."""

from __future__ import annotations

from dataclasses import replace

from cantiere.model import Facility
from cantiere.values import certificates, dns, ingress, storage
from cantiere.values.addons import active
from cantiere.values.model import ClusterFacts


def declared(cluster: ClusterFacts, facility: Facility) -> ClusterFacts:
    """A cluster's facts with those that the template itself decides: storage classes, the way in, the issuer, the zone.

    Parameters
    ----------
    cluster:
        What was observed, or typed placeholders.
    facility:
        What the template declares.

    Returns
    -------
    ClusterFacts
        The same, where the template has no such nodes.
    """
    made = storage.classes(facility)
    found = dict(cluster.storage_classes) | {
        one.name: one if one.provisioner else cluster.storage_classes.get(one.name, one) for one in made
    }
    block = [one.name for one in made if one.default] + [one.name for one in made if not one.shared]
    block += [cluster.storage_class] if cluster.storage_class else [one.name for one in made]
    shared = [one.name for one in made if one.shared]
    facts = replace(
        cluster,
        storage_classes=found,
        storage_class=block[0] if block else "",
        shared_storage_class=shared[0] if shared else cluster.shared_storage_class,
    )
    for way in active(facility, ingress.TYPE)[:1]:
        facts = replace(
            facts,
            ingress_class=ingress.class_name(way),
            gateway=ingress.gateway(way),
            ingress_address=way.properties["address"] or facts.ingress_address,
        )
    for node in active(facility, certificates.TYPE)[:1]:
        facts = replace(facts, issuer=certificates.issuer(node))
    for node in active(facility, dns.TYPE)[:1]:
        facts = replace(facts, zone=dns.zone(node, facts.ingress_address) or facts.zone)
    return facts
