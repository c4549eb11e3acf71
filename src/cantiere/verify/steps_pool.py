"""Steps at the pool: a token that is renewed under a running job, and an access point that is killed."""

from __future__ import annotations

import secrets
import time
from typing import Any

from cantiere.verify.result import require
from cantiere.verify.session import Session

RUNNING = 2
START_TIMEOUT = 60.0
REFRESH_TIMEOUT = 120.0
RECONNECT_TIMEOUT = 90.0
RECONNECTED = "Reconnect SUCCESS"
AP_REMEDY = "see the access point's log: `./cantiere logs`"

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
    cluster = int(kernel.call(f"probe.start_jobs({WATCH_TOKEN!r}, token=True)", 60, AP_REMEDY))
    session.cleanup.callback(kernel.run, f"probe.remove({cluster})")
    kernel.call(f"probe.wait_for({cluster}, {RUNNING}, 1, {START_TIMEOUT})", START_TIMEOUT + 10, AP_REMEDY)
    newer = kernel.call("probe.renew_token()", 60, AP_REMEDY)
    require(newer != first, "the hub gave the same token again", "see `./cantiere logs hub`")
    kernel.call(f"probe.wait_for({cluster}, 4, 1, {REFRESH_TIMEOUT})", REFRESH_TIMEOUT + 10, AP_REMEDY)
    began, ended, mode = kernel.call(f"probe.outputs({cluster})", 30, AP_REMEDY)[0].split()
    require(began == first, "the job began with a token that was not handed over", AP_REMEDY)
    require(ended == newer, "the newer token did not reach the running job", AP_REMEDY)
    require(mode in ("600", "400"), f"the token's file has mode {mode}", AP_REMEDY)
    return f"one job saw its token change from {began[:8]}… to {ended[:8]}… while it ran (digests of what they say), file mode {mode}"


def access_point_killed(session: Session) -> str:
    """The access point is killed with jobs queued and running; the queue is intact and the running jobs are found again."""
    target, kernel = session.target, session.kernel(session.member())
    sleep = f"sleep 600.{secrets.randbelow(10**9):09}"
    running = int(kernel.call(f"probe.start_jobs({sleep!r}, count=2)", 60, AP_REMEDY))
    session.cleanup.callback(kernel.run, f"probe.remove({running})")
    queued = int(kernel.call("probe.start_jobs('true', count=2, requirements='false')", 60, AP_REMEDY))
    session.cleanup.callback(kernel.run, f"probe.remove({queued})")
    before = kernel.call(f"probe.wait_for({running}, {RUNNING}, 2, {START_TIMEOUT})", START_TIMEOUT + 10, AP_REMEDY)
    waiting = kernel.call(f"probe.jobs({queued})", 30, AP_REMEDY)
    processes = _processes_of_two(session, sleep)
    try:
        target.control.kill(target.parts.access_point)
    finally:
        target.control.start(target.parts.access_point)
    _wait_for_reconnect(session, running)
    after = kernel.call(f"probe.wait_for({running}, {RUNNING}, 2, 20)", 30, AP_REMEDY)
    still = kernel.call(f"probe.jobs({queued})", 30, AP_REMEDY)
    require(_names(still) == _names(waiting), f"queued jobs were {_names(waiting)} and are {_names(still)}", AP_REMEDY)
    require(_names(after) == _names(before), f"running jobs were {_names(before)} and are {_names(after)}", AP_REMEDY)
    same = _processes(session, sleep)
    require(same == processes, f"the jobs were the processes {sorted(processes)} and are {sorted(same)}", AP_REMEDY)
    where = ", ".join(f"{worker} process {number}" for worker, number, _ in sorted(same))
    return (
        f"SIGKILL with 2 running and 2 queued; all 4 are in the queue, both running ones were found again, as the same processes: {where}"
    )


def _wait_for_reconnect(session: Session, cluster: int) -> None:
    """Wait until the shadows' log tells of both jobs of a cluster that they were found again."""
    ask = f"grep -cE '\\({cluster}\\.[01]\\).*{RECONNECTED}' /var/log/condor/ShadowLog || true"
    deadline = time.monotonic() + RECONNECT_TIMEOUT
    while (found := int(session.shell(session.target.parts.access_point, ask))) < 2:
        require(time.monotonic() < deadline, f"two jobs ran, and {found} of them were found again in {RECONNECT_TIMEOUT:.0f} s", AP_REMEDY)
        time.sleep(0.5)


def _processes_of_two(session: Session, command: str) -> set[tuple[str, str, str]]:
    """The processes of two jobs that were just started, as soon as both are there."""
    deadline = time.monotonic() + START_TIMEOUT
    while len(found := _processes(session, command)) != 2:
        require(time.monotonic() < deadline, f"two jobs run, and {len(found)} processes of theirs", AP_REMEDY)
        time.sleep(0.5)
    return found


def _processes(session: Session, command: str) -> set[tuple[str, str, str]]:
    """Worker, number and start (in the kernel's ticks) of every process with exactly that command line."""
    found = set()
    script = f"for number in $(pgrep -x -f '{command}'); do cut -d' ' -f1,22 /proc/$number/stat; done"
    for worker in session.target.workers():
        for line in session.shell(worker, script).splitlines():
            number, start = line.split()
            found.add((worker, number, start))
    return found


def _names(jobs: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(job["ProcId"], job["JobStatus"]) for job in jobs]
