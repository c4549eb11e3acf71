"""Steps at the pool: a token that is renewed under a running job, and an access point that is killed."""

from __future__ import annotations

from typing import Any

from cantiere.verify.result import require
from cantiere.verify.session import Session

RUNNING = 2
START_TIMEOUT = 60.0
REFRESH_TIMEOUT = 120.0
RECONNECT_TIMEOUT = 90.0
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
    running = int(kernel.call("probe.start_jobs('sleep 600', count=2)", 60, AP_REMEDY))
    session.cleanup.callback(kernel.run, f"probe.remove({running})")
    queued = int(kernel.call("probe.start_jobs('true', count=2, requirements='false')", 60, AP_REMEDY))
    session.cleanup.callback(kernel.run, f"probe.remove({queued})")
    before = kernel.call(f"probe.wait_for({running}, {RUNNING}, 2, {START_TIMEOUT})", START_TIMEOUT + 10, AP_REMEDY)
    waiting = kernel.call(f"probe.jobs({queued})", 30, AP_REMEDY)
    try:
        target.control.kill(target.parts.access_point)
    finally:
        target.control.start(target.parts.access_point)
    after = kernel.call(f"probe.wait_for_reconnect({running}, {RECONNECT_TIMEOUT})", RECONNECT_TIMEOUT + 10, AP_REMEDY)
    still = kernel.call(f"probe.jobs({queued})", 30, AP_REMEDY)
    require(_names(still) == _names(waiting), f"queued jobs were {_names(waiting)} and are {_names(still)}", AP_REMEDY)
    require(_names(after) == _names(before), f"running jobs were {_names(before)} and are {_names(after)}", AP_REMEDY)
    for old, new in zip(before, after, strict=True):
        where = f"job {running}.{old['ProcId']}"
        require(
            new["JobStatus"] == RUNNING and new["RemoteHost"] == old["RemoteHost"], f"{where} is not running where it was: {new}", AP_REMEDY
        )
        require(new["NumJobStarts"] == old["NumJobStarts"] == 1, f"{where} was started {new['NumJobStarts']} times", AP_REMEDY)
    counts = ", ".join(
        f"starts {job['NumJobStarts']}, shadows {job['NumShadowStarts']}, reconnects {job['NumJobReconnects']}" for job in after
    )
    return f"SIGKILL with 2 running and 2 queued; all 4 are there, the running ones on the same slots ({counts})"


def _names(jobs: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(job["ProcId"], job["JobStatus"]) for job in jobs]
