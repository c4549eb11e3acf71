"""``up`` and ``status`` of a facility's releases, and where its users log in."""

from __future__ import annotations

import json
import time
from typing import Any

from cantiere import preflight
from cantiere.cluster import stages
from cantiere.cluster.platform import Cluster
from cantiere.cluster.wanted import overridden
from cantiere.converge import PATIENCE, plan_of
from cantiere.plan.definition import Kind
from cantiere.progress import Progress
from cantiere.runner import playbook, remember, sayer, variables
from cantiere.services import iam, monitoring
from cantiere.services.catalogue import SERVICES
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
    began = time.monotonic()
    say = sayer(as_json)
    workspace.store.settle(PATIENCE)
    preflight.check(workspace)
    plan = plan_of(workspace)
    say(f"site {workspace.site.name}: {workspace.facility.name} on the cluster of {cluster.kubeconfig}, namespace {cluster.namespace}")
    say(f"plan: {len(plan.steps)} steps" if plan.steps else "plan: no changes")
    run = playbook(workspace.site, "site", variables(workspace), Progress(as_json), skip_tags="preflight")
    seconds = time.monotonic() - began
    installed = any(step["title"].startswith(f"create {Kind.RELEASE}") for step in run.steps)
    remember("releases from nothing" if installed else "releases that were there", {"seconds": round(seconds, 1), "steps": len(run.steps)})
    doors = urls(cluster)
    if as_json:
        result = {
            "facility": workspace.facility.name,
            "changed": run.changed,
            "steps": run.steps,
            "seconds": round(seconds, 2),
            "urls": doors,
            "users": users(workspace),
        }
        print(json.dumps(result, indent=1))
        return 0
    if not run.steps and not run.changed:
        say(f"no changes: the facility is what the template asks for ({seconds:.1f} s)")
    else:
        say(f"up in {seconds:.0f} s, {len(run.steps)} steps")
    tell(workspace, cluster)
    return 0


def urls(cluster: Cluster) -> dict[str, str]:
    """Title of each page that users open, to its address; of what the site turns off none."""
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
    return found


def users(workspace: Workspace) -> list[dict[str, str]]:
    """Users of a development IAM, and how their passwords are shown."""
    return [
        {
            "name": name,
            "groups": " ".join(groups),
            "password": f"./cantiere secrets show {iam.user_password(node, name).name} --site {workspace.site.name}",
        }
        for node in workspace.facility.of_type(iam.TYPE)
        if not iam.external(node)
        for name, groups in node.properties["users"].items()
    ]


def tell(workspace: Workspace, cluster: Cluster) -> None:
    """Print where users log in, as the cluster is now."""
    cluster = Cluster(cluster.site, cluster.facility, cluster.fleet)
    site, doors = workspace.site.name, urls(cluster)
    if doors:
        outside = cluster.compiling(cluster.facts(cluster.known(cluster.api()))).services.zone
        where = f"below {outside}" if outside else "names of the cluster; the template has no ingress that shows them outside"
        print(f"\nURLs ({where}; the facility's CA: ./cantiere secrets show facility-ca --site {site})")
        for title, url in doors.items():
            print(f"  {title:26} {url}")
    if found := users(workspace):
        print("\nDemo users of the development IAM")
        for user in found:
            print(f"  {user['name']:12} {user['groups']:24} password: {user['password']}")
    print("\nNext")
    print(f"  ./cantiere status --site {site}             releases, and what has drifted")
    print(f"  ./cantiere kubectl --site {site} get pods -A ask the cluster")


def rows(cluster: Cluster) -> list[dict[str, Any]]:
    """Each release with its state, as rows."""
    api = cluster.api()
    if api is None or not cluster.asked:
        return []
    wanted, seen = stages.look(cluster, api)
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
