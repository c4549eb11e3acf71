"""``cantiere scale``: more or fewer machines for pools that may grow, as asked or as the cluster's pods need it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from cantiere.errors import CantiereError, Problem

if TYPE_CHECKING:
    from cantiere.cluster.platform import Cluster
    from cantiere.machines.growth import Decision
    from cantiere.workspace import Workspace

IDLE = "idle.json"
"""File of a site's state folder: node to the time since which it was seen without work."""


def scale(options: argparse.Namespace) -> int:
    """Give pools the numbers that are asked for, or decide by the pods that wait; once, or again and again."""
    if not options.auto:
        workspace, _ = _opened(options.site)
        return _up(workspace, _asked(workspace, options.pools), options.json)
    while True:
        workspace, cluster = _opened(options.site)  # anew each time: another template may have been applied meanwhile
        code = _carry_out(workspace, decide(cluster), options)
        if not options.every:
            return code
        time.sleep(options.every)


def _opened(site: str) -> tuple[Workspace, Cluster]:
    """What was applied last on a site of machines, and its cluster."""
    from cantiere.workspace import open_applied

    workspace, _ = open_applied(site)
    if workspace.fleet is None or workspace.cluster is None:
        name = workspace.site.name
        raise CantiereError(Problem("scale.machines", f"site {name!r} makes no machines", "name a site with machines", path=name))
    return workspace, workspace.cluster


def _asked(workspace: Workspace, given: list[str]) -> dict[str, int]:
    from cantiere.machines.wanted import POOL, grows

    pools = {pool.name: pool for pool in workspace.facility.of_type(POOL)}
    asked: dict[str, int] = {}
    problems = []
    for text in given:
        name, _, number = text.partition("=")
        pool = pools.get(name)
        if pool is None or not number.isdigit():
            problems.append(Problem("scale.pool", f"{text!r} is no POOL=NUMBER", f"pools are: {', '.join(pools)}", path=text))
        elif not grows(pool):
            remedy = "set max_count of the pool in the template, or change its count there"
            problems.append(Problem("scale.fixed", f"{name} has as many machines as the template says", remedy, pool.where, name))
        elif not pool.properties["count"] <= int(number) <= pool.properties["max_count"]:
            limits = f"between {pool.properties['count']} and {pool.properties['max_count']}"
            problems.append(
                Problem("scale.limits", f"{name} may have {limits} machines", "ask for a number in these limits", pool.where, name)
            )
        else:
            asked[name] = int(number)
    if not asked and not problems:
        problems.append(Problem("scale.nothing", "no pool is named", "write POOL=NUMBER, or --auto", path="scale"))
    if problems:
        raise CantiereError(problems)
    return asked


def decide(cluster: Cluster) -> Decision:
    """What the cluster's pods and nodes ask for now; remembers since when which node idles."""
    from cantiere.cluster import load
    from cantiere.machines import growth
    from cantiere.machines.wanted import POOL
    from cantiere.state import write_atomic

    record = cluster.site.state_dir / IDLE
    known: Mapping[str, float] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    nodes, pods, now = load.look(cluster.answering())
    pools, idle = load.pools(cluster.facility.of_type(POOL), nodes, pods, known, now)
    if idle != known:
        write_atomic(record, json.dumps(idle))
    return growth.decide(pools, load.waiting(pods, now))


def _carry_out(workspace: Workspace, decision: Decision, options: argparse.Namespace) -> int:
    if options.json and not decision.changes:
        print(json.dumps(asdict(decision), default=dict))
    elif not options.json:
        for change in decision.changes:
            print(f"{change.pool}: {change.count} machines, {change.reason}", flush=True)
        for pod, why in decision.stuck.items():
            print(f"{pod} finds no place: {why}", flush=True)
        if not decision.changes and not decision.stuck:
            print("no pool has to grow or shrink", flush=True)
    if not decision.changes:
        return 0
    return _up(workspace, {change.pool: change.count for change in decision.changes}, options.json)


def _up(workspace: Workspace, numbers: Mapping[str, int], as_json: bool) -> int:
    from dataclasses import replace

    from cantiere import raising

    return raising.up(replace(workspace, scale=numbers), as_json)
