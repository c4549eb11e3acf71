"""Prometheus, and an exporter for each HTCondor pool that it watches. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Container, Mount, Node, Port, Probe
from cantiere.services import htcondor
from cantiere.services.facts import Facts

TYPE = htcondor.MONITORING
PORT = 9090
EXPORTER_PORT = 9118
QUERY_TIMEOUT = 4


def url(name: str, facts: Facts) -> str:
    """Where Prometheus of a monitoring node answers."""
    return f"http://{facts.fqdn(name)}:{PORT}"


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """Variables of the templates of ``images/prometheus``.

    Parameters
    ----------
    node:
        The monitoring node.
    facts:
        The facility it stands in.

    Returns
    -------
    dict
        Times in seconds; ``jobs`` are what is scraped. None of it depends on the number of execute points.
    """
    exporters = [f"{facts.fqdn(htcondor.exporter(node, pool))}:{EXPORTER_PORT}" for pool in _pools(node)]
    jobs = [{"name": "prometheus", "targets": [f"localhost:{PORT}"]}]
    if exporters:
        jobs.append({"name": "htcondor", "targets": exporters})
    return {
        "retention": round(node.properties["retention"]),
        "scrape_interval": round(node.properties["scrape_interval"]),
        "jobs": jobs,
    }


def exporter_settings(pool: Node, facts: Facts) -> dict[str, Any]:
    """Variables of the template of ``images/condor-exporter``.

    Parameters
    ----------
    pool:
        The pool that the exporter asks.
    facts:
        The facility it stands in.
    """
    return {"collector": htcondor.collector_address(pool, facts), "domain": facts.domain, "query_timeout": QUERY_TIMEOUT}


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """An exporter for each pool, and Prometheus after them."""
    exporters = tuple(_exporter(node, facts.facility.node(name), facts) for name in _pools(node))
    prometheus = Container(
        name=node.name,
        service=node.name,
        image="prometheus",
        settings=settings(node, facts),
        mounts=(Mount(f"{node.name}-data", "/srv/prometheus"),),
        ports=(Port(PORT, url(node.name, facts), "Metrics (Prometheus)"),),
        needs=tuple(exporter.name for exporter in exporters),
        probe=Probe(("prometheus-probe",)),
    )
    return (*exporters, prometheus)


def _pools(node: Node) -> tuple[str, ...]:
    return node.requirements.get("queue", ())


def _exporter(node: Node, pool: Node, facts: Facts) -> Container:
    name = htcondor.exporter(node, pool.name)
    return Container(
        name=name,
        service=node.name,
        image="condor-exporter",
        settings=exporter_settings(pool, facts),
        secrets=(htcondor.idtoken(pool, facts, name, "READ"),),
        needs=(htcondor.central_manager(pool),),
        probe=Probe(("condor-exporter-probe",)),
    )
