"""Steps at the pool: a token that is renewed under a running job, and an access point that is killed."""

from __future__ import annotations

import secrets
import time
from typing import Any

from cantiere.verify import jobs
from cantiere.verify.result import require
from cantiere.verify.session import Session

REFRESH_SECONDS = 120.0
RECONNECT_SECONDS = 90.0
AGAIN_SECONDS = 20.0
PROCESS_SECONDS = 60.0
RECONNECTED = "Reconnect SUCCESS"

WATCH_TOKEN = """
token="$_CONDOR_CREDS/iam.use"
digest() { cut -d. -f2 "$token" | tr -d '\\n' | sha256sum | cut -c1-64; }
first=$(digest); echo "$first" > first; end=$(( $(date +%s) + 110 ))
while [ "$(digest)" = "$first" ] && [ "$(date +%s)" -lt "$end" ]; do sleep 1; done
echo "$first $(digest) $(stat -c %a "$token")"
"""


def token_renewed(session: Session) -> str:
    """A token that the hub renews later reaches a job that is running already."""
    kernel = session.kernel(session.member())
    first = kernel.call("probe.token_digest()")
    with jobs.queued(kernel, WATCH_TOKEN, token=True) as cluster:
        jobs.reached(kernel, cluster, jobs.RUNNING)
        newer = kernel.call("probe.renew_token()", 60, jobs.REMEDY)
        require(newer != first, "the hub gave the same token again", "see `./cantiere logs hub`")
        jobs.reached(kernel, cluster, jobs.COMPLETED, seconds=REFRESH_SECONDS)
        began, ended, mode = jobs.outputs(kernel, cluster)[0].split()
    require(began == first, "the job began with a token that was not handed over", jobs.REMEDY)
    require(ended == newer, "the newer token did not reach the running job", jobs.REMEDY)
    require(mode in ("600", "400"), f"the token's file has mode {mode}", jobs.REMEDY)
    return f"one job saw its token change from {began[:8]}… to {ended[:8]}… while it ran (digests of what they say), file mode {mode}"


def access_point_killed(session: Session) -> str:
    """The access point is killed with jobs queued and running; the queue is intact and the running jobs are found again."""
    target, kernel = session.target, session.kernel(session.member())
    sleep = f"sleep 600.{secrets.randbelow(10**9):09}"
    with jobs.queued(kernel, sleep, count=2) as running, jobs.queued(kernel, "true", count=2, requirements="false") as queued:
        before = jobs.reached(kernel, running, jobs.RUNNING, 2)
        waiting = jobs.seen(kernel, queued)
        processes = _processes_of_two(session, sleep)
        try:
            target.control.kill(target.parts.access_point)
        finally:
            target.control.start(target.parts.access_point)
        _wait_for_reconnect(session, running)
        after = jobs.reached(kernel, running, jobs.RUNNING, 2, seconds=AGAIN_SECONDS)
        still = jobs.seen(kernel, queued)
        same = _processes(session, sleep)
    require(_names(still) == _names(waiting), f"queued jobs were {_names(waiting)} and are {_names(still)}", jobs.REMEDY)
    require(_names(after) == _names(before), f"running jobs were {_names(before)} and are {_names(after)}", jobs.REMEDY)
    require(same == processes, f"the jobs were the processes {sorted(processes)} and are {sorted(same)}", jobs.REMEDY)
    where = ", ".join(f"{worker} process {number}" for worker, number, _ in sorted(same))
    return (
        f"SIGKILL with 2 running and 2 queued; all 4 are in the queue, both running ones were found again, as the same processes: {where}"
    )


def _wait_for_reconnect(session: Session, cluster: int) -> None:
    """Wait until the shadows' log tells of both jobs of a cluster that they were found again."""
    ask = f"grep -cE '\\({cluster}\\.[01]\\).*{RECONNECTED}' /var/log/condor/ShadowLog || true"
    deadline = time.monotonic() + RECONNECT_SECONDS
    while (found := int(session.shell(session.target.parts.access_point, ask))) < 2:
        require(
            time.monotonic() < deadline, f"two jobs ran, and {found} of them were found again in {RECONNECT_SECONDS:.0f} s", jobs.REMEDY
        )
        time.sleep(0.5)


def _processes_of_two(session: Session, command: str) -> set[tuple[str, str, str]]:
    """The processes of two jobs that were just started, as soon as both are there."""
    deadline = time.monotonic() + PROCESS_SECONDS
    while len(found := _processes(session, command)) != 2:
        require(time.monotonic() < deadline, f"two jobs run, and {len(found)} processes of theirs", jobs.REMEDY)
        time.sleep(0.5)
    return found


def _processes(session: Session, command: str) -> set[tuple[str, str, str]]:
    """Worker, number and start (in the kernel's ticks) of every process with exactly that command line; a worker may end meanwhile."""
    found = set()
    script = f"for number in $(pgrep -x -f '{command}'); do cut -d' ' -f1,22 /proc/$number/stat; done"
    for worker in session.target.workers():
        for line in session.target.control.exec(worker, ("sh", "-c", script)).stdout.splitlines():
            number, start = line.split()
            found.add((worker, number, start))
    return found


def _names(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(job["ProcId"], job["JobStatus"]) for job in found]
