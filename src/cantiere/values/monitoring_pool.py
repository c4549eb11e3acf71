"""What watches HTCondor pools on a cluster: an exporter for each, how Prometheus reads it, and how its metrics become a Job's. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Node
from cantiere.services import htcondor, monitoring
from cantiere.values import htcondor as pools
from cantiere.values import scraping
from cantiere.values.model import Context, Link, Release, SecretObject

CHART = "condor-exporter"
BUSY = "condor_slot_activity_busy"
FASTEST_SCRAPE = 10
"""Seconds between two scrapes, and for one: a scrape that is cut off takes all series away, and the autoscaler has no metric."""


def pod_labels(release: str) -> dict[str, str]:
    """Labels by which an exporter's pod is found."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": release}


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """An exporter for each pool that a monitoring node watches."""
    return tuple(_exporter(node, context.facility.node(name), context) for name in node.requirements.get("queue", ()))


def scrape_configs(node: Node, context: Context) -> list[dict[str, Any]]:
    """Scrape configurations of Prometheus, whose series carry the described Job's name and namespace.

    Parameters
    ----------
    node:
        The monitoring node.
    context:
        The facility.
    """
    interval = f"{max(round(node.properties['scrape_interval']), FASTEST_SCRAPE)}s"
    return [
        {
            "job_name": pools.described_job(name),
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "static_configs": [
                {
                    "targets": [f"{context.services.fqdn(htcondor.exporter(node, name))}:{monitoring.EXPORTER_PORT}"],
                    "labels": {"namespace": context.namespace},
                }
            ],
        }
        for name in node.requirements.get("queue", ())
    ]


def adapter_rules() -> list[dict[str, Any]]:
    """Rules of prometheus-adapter by which the busy fraction of a pool's slots is a metric of its Job."""
    return [
        {
            "seriesQuery": f'{BUSY}{{namespace!="",job!=""}}',
            "resources": {"overrides": {"namespace": {"resource": "namespace"}, "job": {"group": "batch", "resource": "job"}}},
            "name": {"matches": f"^{BUSY}$", "as": BUSY},
            "metricsQuery": "avg(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        }
    ]


def _exporter(node: Node, pool: Node, context: Context) -> Release:
    name = htcondor.exporter(node, pool.name)
    classes = pools.worker_classes(pool)
    told = monitoring.exporter_settings(pool, context.services) | {
        "query_timeout": FASTEST_SCRAPE - 2,
        "classes": [{"name": one.name, "cpus": one.cpus, "memory": one.memory >> 20, "gpus": one.gpus} for one in classes],
    }
    values = {
        "image": context.image(CHART),
        "settings": told,
        "existingSecret": name,
        "secretDigest": "",
        "scrape": {"annotations": False, "serviceMonitor": False},
        "deletionCost": {
            "enabled": any(one.scaling["style"] == "hpa" for one in classes),
            "selector": pools.pod_labels(pool.name, "execute-point"),
        },
        "networkPolicy": {
            "enabled": True,
            "scrapers": [dict(scraping.SCRAPER)],
            "pool": pool.name,
            "apiServer": context.cluster.api_address,
        },
    }
    here = context.namespace
    links = [scraping.link(pod_labels(name), monitoring.EXPORTER_PORT, context)]
    links += [
        Link(pod_labels(name), pools.pod_labels(pool.name, target), htcondor.PORT, "the exporter reads the pool", here, here)
        for target in ("central-manager", "access-point")
    ]
    return Release(
        name=name,
        namespace=here,
        chart=CHART,
        values=values,
        node=node.name,
        needs=(pool.name,),
        images=(CHART,),
        secrets=(SecretObject(name, (htcondor.idtoken(pool, context.services, name, "READ"),)),),
        pod_security="restricted",
        links=tuple(links),
    )
