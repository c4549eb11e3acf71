"""All steps of the verification, in order, with what each needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cantiere.verify import steps_analysis, steps_cvmfs, steps_dask, steps_data, steps_isolation, steps_login, steps_pool, steps_tokens
from cantiere.verify.session import Session


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is tried.

    Parameters
    ----------
    name:
        Short name, for ``cantiere verify --only``.
    title:
        What it proves.
    run:
        Tries it, and gives the evidence.
    needs:
        Names of steps without which it makes no sense.
    parts:
        Parts of the facility that it uses; where the template has no such part it is not run.
    """

    name: str
    title: str
    run: Callable[[Session], str]
    needs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("iam", "hub")


CACHES = ("iam", "hub", "caches", "origin")
POOL = ("iam", "hub", "access_point", "workers")

STEPS = (
    Step("login", "log-in by the authorization code flow", steps_login.log_in),
    Step("outsider", "a user outside the group is refused", steps_login.outsider_refused),
    Step("bad-option", "a bad spawn option is refused", steps_login.bad_option_refused, ("login",)),
    Step("spawn", "a notebook with chosen image, cores and memory", steps_login.spawn, ("login",)),
    Step("first-read", "first read through all cache levels with the token", steps_data.first_read, ("spawn",), CACHES),
    Step(
        "second-read", "second read from the site cache, origin and national cache stopped", steps_data.second_read, ("first-read",), CACHES
    ),
    Step("tokens-cache-root", "bad tokens refused by the site cache (root)", steps_tokens.cache_by_root, ("spawn",), CACHES),
    Step("tokens-cache-https", "bad tokens refused by the site cache (https)", steps_tokens.cache_by_https, ("login",), CACHES),
    Step("tokens-pool", "bad tokens refused by the access point", steps_tokens.pool, ("spawn",), POOL),
    Step("tokens-store", "bad tokens refused by the object store", steps_tokens.store, ("login",), ("iam", "store")),
    Step(
        "analysis", "the example notebook: jobs, ntuples, AdaBoost, plots", steps_analysis.notebook, ("spawn",), (*CACHES, *POOL, "store")
    ),
    Step("token-renewed", "a renewed token reaches a running job", steps_pool.token_renewed, ("spawn",), POOL),
    # the analysis may be over between two looks of the monitoring; the job before this step ran for longer
    Step("metric", "the slots' metric rose while jobs ran", steps_analysis.metric_rose, ("analysis", "token-renewed"), ("monitoring",)),
    Step(
        "dask",
        "a notebook scales out over the pool with Dask and coffea",
        steps_dask.scale_out,
        ("analysis",),
        (*CACHES, *POOL, "store"),
    ),
    Step("isolation", "one user's job cannot read another's token or files", steps_isolation.between_jobs, ("spawn",), POOL),
    Step(
        "confined", "the hub cannot reach the machine through its socket", steps_isolation.hub_confined, ("spawn",), ("iam", "hub", "guard")
    ),
    Step("access-point", "access point killed: queue intact, running jobs found again", steps_pool.access_point_killed, ("spawn",), POOL),
    Step("software", "CVMFS: a notebook and a job run software from it", steps_cvmfs.software, ("spawn",), POOL),
)


def chosen(names: list[str]) -> tuple[Step, ...]:
    """The steps of those names and all that they need, in order; all steps where no name is given.

    Raises
    ------
    KeyError
        A name that no step has.
    """
    by_name = {step.name: step for step in STEPS}
    wanted: set[str] = set()
    pending = [by_name[name].name for name in names or by_name]
    while pending:
        name = pending.pop()
        wanted.add(name)
        pending += [need for need in by_name[name].needs if need not in wanted]
    return tuple(step for step in STEPS if step.name in wanted)
