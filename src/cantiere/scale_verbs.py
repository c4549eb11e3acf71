"""``cantiere scale``: more or fewer machines for pools that may grow, as asked or as the cluster's pods need it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from cantiere.errors import CantiereError, Problem
from cantiere.machines.growth import Held
from cantiere.machines.model import POOL, pool_of

if TYPE_CHECKING:
    from cantiere.cluster.platform import Cluster
    from cantiere.machines.fleet import Fleet
    from cantiere.machines.growth import Decision
    from cantiere.workspace import Workspace

IDLE = "idle.json"
"""File of a site's state folder: node to the time since which it was seen without work."""
LONGEST_PAUSE = 900.0
"""Seconds between two tries of what is refused again and again."""


def scale(options: argparse.Namespace) -> int:
    """Give pools the numbers that are asked for, or decide by the pods that wait; once, or again and again."""
    if not options.auto:
        workspace, _, _ = _opened(options.site)
        numbers = _asked(workspace, options.pools, options.remove)
        return _up(replace(workspace, removal=tuple(options.remove)), numbers, options.json)
    refused, held = 0, Held()
    while True:
        workspace, fleet, cluster = _opened(options.site)  # anew each time: another template may have been applied meanwhile
        try:
            code, refused = _round(workspace, fleet, cluster, held, options), 0
        except CantiereError as error:
            if not options.every:
                raise
            refused += 1
            _tell(error, pause(options.every, refused), options.json)
        if not options.every:
            return code
        time.sleep(pause(options.every, refused))


def _round(workspace: Workspace, fleet: Fleet, cluster: Cluster, held: Held, options: argparse.Namespace) -> int:
    """Decide and carry out once; pools of machines that may vanish and cannot be made now are left alone for a while."""
    from cantiere.machines.raising import INCOMPLETE

    alone = held.at(time.monotonic())
    decision = decide(cluster, alone)
    lost = tuple(name for name in fleet.lost() if pool_of(name) not in alone)
    code = _carry_out(workspace, decision, lost, options)
    grown = {change.pool for change in decision.changes if not change.removal} | set(map(pool_of, lost))
    pools = workspace.facility.of_type(POOL) if grown else ()
    tried = [pool.name for pool in pools if pool.name in grown and pool.properties.get("preemptible")]
    held.tried(tried, time.monotonic(), (lambda tries: pause(options.every, tries)) if code == INCOMPLETE else None)
    if code == INCOMPLETE and options.every and not options.json:
        for name in tried:
            print(f"{name}: cannot be made now, tried again in {pause(options.every, held.tries[name]):.0f} s", flush=True)
    return code


def pause(usual: float, refused: int) -> float:
    """Seconds until the next round: twice as long after each refusal, up to a quarter of an hour.

    Parameters
    ----------
    usual:
        After a round that went well.
    refused:
        Rounds in a row that did not.
    """
    return float(min(usual * 2.0 ** min(refused, 16), max(LONGEST_PAUSE, usual)))


def _tell(error: CantiereError, seconds: float, as_json: bool) -> None:
    """What stood in the way of a round, and when it is tried again."""
    if as_json:
        print(json.dumps({"errors": [problem.as_dict() for problem in error.problems], "again_in": seconds}), flush=True)
        return
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"tried again in {seconds:.0f} s", file=sys.stderr, flush=True)


def _opened(site: str) -> tuple[Workspace, Fleet, Cluster]:
    """What was applied last on a site of machines, with these and their cluster."""
    from cantiere.workspace import open_applied

    workspace, _ = open_applied(site)
    if workspace.fleet is None or workspace.cluster is None:
        name = workspace.site.name
        raise CantiereError(Problem("scale.machines", f"site {name!r} makes no machines", "name a site with machines", path=name))
    return workspace, workspace.fleet, workspace.cluster


def _asked(workspace: Workspace, given: Sequence[str], removal: Sequence[str]) -> dict[str, int]:
    from cantiere.machines.roster import grows

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
    for name in removal:
        pool = pools.get(pool_of(name))
        if pool is None:
            problems.append(Problem("scale.machine", f"{name!r} is in no pool", f"pools are: {', '.join(pools)}", path=name))
        elif not grows(pool):
            message = f"{pool.name} has as many machines as the template says, so {name} cannot just leave"
            remedy = f"put {name} on the removal_list of the pool and lower its count in the template, then `up`"
            problems.append(Problem("scale.fixed", message, remedy, pool.where, name))
    if not asked and not removal and not problems:
        problems.append(Problem("scale.nothing", "no pool is named", "write POOL=NUMBER, --remove MACHINE, or --auto", path="scale"))
    if problems:
        raise CantiereError(problems)
    return asked


def decide(cluster: Cluster, alone: Collection[str] = ()) -> Decision:
    """What the cluster's pods and nodes ask for now; remembers since when which node idles.

    Parameters
    ----------
    cluster:
        The cluster.
    alone:
        Pools that do not grow now: what waits for them may find a place on others.
    """
    from cantiere.cluster import load
    from cantiere.machines import growth
    from cantiere.state import write_atomic

    record = cluster.site.state_dir / IDLE
    known: Mapping[str, float] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    nodes, pods, now = load.look(cluster.answering())
    pools, idle = load.pools(cluster.facility.of_type(POOL), nodes, pods, known, now)
    if idle != known:
        write_atomic(record, json.dumps(idle))
    fixed = [replace(pool, most=min(pool.most, pool.count)) if pool.name in alone else pool for pool in pools]
    return growth.decide(fixed, load.waiting(pods, now))


def _carry_out(workspace: Workspace, decision: Decision, lost: Sequence[str], options: argparse.Namespace) -> int:
    if options.json and not decision.changes and not lost:
        print(json.dumps(asdict(decision), default=dict))
    elif not options.json:
        for change in decision.changes:
            who = f"; {', '.join(change.removal)} to leave" if change.removal else ""
            print(f"{change.pool}: {change.count} machines, {change.reason}{who}", flush=True)
        for pod, why in decision.stuck.items():
            print(f"{pod} finds no place: {why}", flush=True)
        for name in lost:
            print(f"{name}: lost, made again", flush=True)
        if not decision.changes and not decision.stuck and not lost:
            print("no pool has to grow or shrink", flush=True)
    if not decision.changes and not lost:
        return 0
    removal = tuple(name for change in decision.changes for name in change.removal)
    return _up(replace(workspace, removal=removal), {change.pool: change.count for change in decision.changes}, options.json)


def _up(workspace: Workspace, numbers: Mapping[str, int], as_json: bool) -> int:
    from cantiere import raising

    return raising.up(replace(workspace, scale=numbers), as_json)
