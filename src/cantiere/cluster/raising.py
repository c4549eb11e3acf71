"""``up`` and ``status`` of a facility's releases, and where its users log in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cantiere.cluster import stages
from cantiere.cluster.model import ClusterSeen, ClusterWanted
from cantiere.cluster.platform import Cluster
from cantiere.cluster.wanted import overridden
from cantiere.plan.definition import Kind, Plan
from cantiere.runner import remember
from cantiere.services import monitoring
from cantiere.services.catalogue import SERVICES
from cantiere.up import outputs, raised, show_login, show_outputs, users
from cantiere.values import monitoring as stack
from cantiere.values.catalogue import compile_all
from cantiere.workspace import Workspace


def up(workspace: Workspace, cluster: Cluster, as_json: bool) -> int:
    """Bring a facility to a cluster that exists, or make it again what the template asks for.

    Raises
    ------
    PreflightError
        The cluster cannot carry it; nothing was touched.
    CantiereError
        The run failed; the same command goes on from there.
    """

    def head(_plan: Plan) -> Iterator[str]:
        yield f"site {workspace.site.name}: {workspace.facility.name} on the cluster of {cluster.kubeconfig}, namespace {cluster.namespace}"

    found = raised(workspace, as_json, head)
    steps = found.run.steps
    installed = any(step["title"].startswith(f"create {Kind.RELEASE}") for step in steps)
    kind = "releases from nothing" if installed else "releases that were there"
    remember(kind, {"seconds": round(found.seconds, 1), "steps": len(steps), "parts": found.run.plays})
    urls, zone = doors(cluster)
    if as_json:
        result = {**found.result(workspace), "urls": urls, "users": users(workspace), "outputs": outputs(workspace)}
        print(json.dumps(result, indent=1))
        return 0
    print(found.told("the facility is", {}))
    show_outputs(outputs(workspace))
    tell(workspace, urls, zone)
    return 0


def doors(cluster: Cluster) -> tuple[dict[str, str], str]:
    """Title of each page that users open, to its address (of what the site turns off none), and the zone that shows them outside."""
    context = cluster.compiling(cluster.facts(cluster.known(cluster.api())))
    there = {release.node for release in overridden(compile_all(context), cluster.site, context) if release.installed}
    found: dict[str, str] = {}
    for node in cluster.facility.nodes:
        if node.type not in SERVICES or node.name not in there:
            continue
        pages = {port.title: port.url for container in SERVICES[node.type].containers(node, context.services) for port in container.ports}
        if node.type == monitoring.TYPE:  # it is not in the namespace of the facility's own services
            pages = dict.fromkeys(pages, f"http://{stack.host(node, context)}:{monitoring.PORT}")
        found |= {title: url for title, url in pages.items() if url}
    return found, context.services.zone


def tell(workspace: Workspace, urls: Mapping[str, str], zone: str) -> None:
    """Print where users log in.

    Parameters
    ----------
    urls, zone:
        As :func:`doors` gives them.
    """
    where = f"below {zone}" if zone else "names of the cluster; the template has no ingress that shows them outside"
    show_login(workspace, urls, where)
    site = workspace.site.name
    print("\nNext")
    print(f"  ./cantiere status --site {site}             releases, and what has drifted")
    print(f"  ./cantiere kubectl --site {site} get pods -A ask the cluster")


def status(cluster: Cluster) -> tuple[list[dict[str, Any]], list[str]]:
    """Each release with its state, and what has drifted, as rows and as steps in words."""
    if not cluster.asked:
        return [], []
    api = cluster.api()
    wanted, seen = stages.look(cluster, api)
    return rows(wanted, seen) if api else [], [str(step) for step in stages.planned(wanted, seen).steps]


def rows(wanted: ClusterWanted, seen: ClusterSeen) -> list[dict[str, Any]]:
    """Each release with its state, as rows."""
    found = []
    for release in wanted.releases:
        there = seen.releases.get(release.name)
        adopted = wanted.adopted.get(release.name, "")
        state = there.status if there else adopted or ("absent" if release.installed else "off")
        found.append(
            {
                "release": release.name,
                "namespace": release.namespace,
                "chart": there.chart if there else release.chart,
                "state": state,
                "current": bool(there and there.digest == wanted.digests[release.name]),
                "revision": there.revision if there else 0,
            }
        )
    known = {row["release"] for row in found}
    found += [
        {
            "release": name,
            "namespace": item.namespace,
            "chart": item.chart,
            "state": item.status,
            "current": False,
            "revision": item.revision,
        }
        for name, item in seen.releases.items()
        if name not in known
    ]
    return found


def show(found: list[dict[str, Any]]) -> None:
    """Print the rows of releases."""
    if found:
        print(f"{'release':24} {'namespace':16} {'chart':34} {'revision':>8} state")
    for row in found:
        changed = "" if row["current"] or row["state"] != "deployed" else ", differs"
        print(f"{row['release']:24} {row['namespace']:16} {row['chart']:34} {row['revision']:8d} {row['state']}{changed}")
