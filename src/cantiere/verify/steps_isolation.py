"""Steps that try to get out: of one user's job into another's, and of the hub's container into the machine."""

from __future__ import annotations

import json
from pathlib import Path

from cantiere.verify import jobs
from cantiere.verify.kernel import Kernel
from cantiere.verify.result import StepFailed, StepNotRun, require
from cantiere.verify.session import Session

FORBIDDEN = 403
START_SECONDS = 60.0
"""For a job to start where there is room already."""
JOB_REMEDY = "give every slot an account of its own: see images/htcondor"
GUARD_REMEDY = "check what the guard in front of the engine's socket lets through: see `./cantiere logs` of the guard"

VICTIM = """
umask 022
echo private > secret.txt
exec sleep 600
"""

ATTACKER = """
execute=$(dirname "$_CONDOR_SCRATCH_DIR")
say() { printf '%s %s\\n' "$1" "$2"; }
say account "$(id -un)"
[ -s "$_CONDOR_CREDS/iam.use" ] && say own token
for other in "$execute"/*; do
  [ "$other" = "$_CONDOR_SCRATCH_DIR" ] && continue
  [ -d "$other" ] || continue
  say neighbour "$(stat -c '%U %a' "$other")"
  ls "$other" >/dev/null 2>&1 && say GOT "listing of $other"
  for file in $(find "$other" -type f -readable 2>/dev/null); do say GOT "$file"; done
  for file in secret.txt .condor_creds/iam.use; do cat "$other/$file" >/dev/null 2>&1 && say GOT "$other/$file"; done
done
for file in $(find /tmp /var /run /srv /dev/shm /home -name '*.use' -readable 2>/dev/null); do
  case $file in "$_CONDOR_CREDS"/*) ;; *) say GOT "$file" ;; esac
done
me=$(id -u)
for process in /proc/[0-9]*; do
  [ "$(stat -c %u "$process" 2>/dev/null)" = "$me" ] && continue
  for file in environ cwd/secret.txt; do head -c 1 "$process/$file" 2>/dev/null | grep -q . && say GOT "$process/$file"; done
  kill -0 "${process#/proc/}" 2>/dev/null && say GOT "power over process ${process#/proc/}"
done
true
"""


def between_jobs(session: Session) -> str:
    """One user's job cannot read the token or the files of another user's job on the same worker, nor meddle with it."""
    alice, carol = session.member(0), session.member(1)
    kernel, attacker_kernel = session.kernel(alice), session.kernel(carol)
    worker, printed, status, done = _side_by_side(kernel, attacker_kernel)
    said: dict[str, list[str]] = {}
    for word, text in (line.split(" ", 1) for line in printed.splitlines() if " " in line):
        said.setdefault(word, []).append(text)
    require(status == jobs.RUNNING, f"{alice}'s job ended before {carol}'s had tried", "run the verification again")
    require(said.get("own") == ["token"], f"{carol}'s job has not even its own token: {said}", "see the log of the worker")
    require(said.get("neighbour"), f"{carol}'s job saw no job of {alice} on {worker}: {said}", "see the log of the worker")
    require("GOT" not in said, f"{carol}'s job got at {alice}'s: {', '.join(said.get('GOT', []))[:300]}", JOB_REMEDY)
    require(not done, f"{carol} could {' and '.join(done)} {alice}'s job", "check ALLOW_WRITE and QUEUE_SUPER_USERS of the access point")
    key = kernel.call("probe.keep_private()", 30)
    session.cleanup.callback(kernel.run, f"probe.forget({key!r})")
    reached = attacker_kernel.call(f"probe.reach({key!r})", 30)
    require(not reached, f"{carol} could {' and '.join(reached)} {alice}'s object in the store", "check the store's policy")
    owner, mode = said["neighbour"][0].split()
    return (
        f"both jobs on {worker.partition('.')[0]}: {carol}'s (account {said['account'][0]}) saw the folder of {alice}'s (owner {owner}, "
        f"mode {mode}) and could read no token, file or process of it; {carol} could not remove, fetch or edit the job, nor reach "
        f"{alice}'s objects in the store"
    )


def hub_confined(session: Session) -> str:
    """The hub cannot reach the machine or other services through the socket by which it asks for notebooks."""
    target, user = session.target, session.member()
    session.kernel(user)
    source = (Path(__file__).resolve().parent / "inside_hub.py").read_text(encoding="utf-8")
    others = [f"{target.prefix}-{name}" for name in (target.parts.iam, target.parts.store) if name]
    command = ("python3", "-c", source, target.hub_socket, user, json.dumps(others))
    done = target.control.exec(target.parts.hub, command, 120)
    require(done.code == 0, f"the attempts could not be made: {done.stderr.strip()[-300:]}", "see `./cantiere logs hub`")
    outcome = json.loads(done.stdout)
    require("in use" in outcome["control"][1], f"a good request does not get through to the engine: {outcome['control']}", GUARD_REMEDY)
    reached = {what: status for what, (status, _) in outcome["attempts"].items() if status != FORBIDDEN}
    require(not reached, f"not refused: {', '.join(f'{what} (HTTP {status})' for what, status in reached.items())}", GUARD_REMEDY)
    return (
        f"{len(outcome['attempts'])} attempts from inside the hub refused, a good request passes; tried: {', '.join(outcome['attempts'])}"
    )


def _side_by_side(kernel: Kernel, attacker_kernel: Kernel) -> tuple[str, str, int, list[str]]:
    """Run both jobs on one worker: which, what the attacker's printed, the victim's status then, and what the attacker could do to it.

    A pool that follows its load may tell that worker to end meanwhile: what runs there goes on, and nothing else starts. Then another is
    taken.

    Raises
    ------
    StepNotRun
        No worker takes two jobs at a time.
    StepFailed
        They do not run.
    """
    roomy = _roomy_workers(kernel)
    if not roomy:
        raise StepNotRun("every worker has one core, so that two jobs never run on one worker; cpus_per_worker 2 makes this possible")
    while True:
        worker, where = roomy[0], f'Machine == "{roomy[0]}"'
        try:
            with jobs.queued(kernel, VICTIM, token=True, requirements=where) as victim:
                jobs.reached(kernel, victim, jobs.RUNNING, seconds=START_SECONDS)
                with jobs.queued(attacker_kernel, ATTACKER, token=True, requirements=where) as attacker:
                    jobs.reached(attacker_kernel, attacker, jobs.COMPLETED, seconds=START_SECONDS)
                    printed = jobs.outputs(attacker_kernel, attacker)[0]
                status = int(jobs.seen(kernel, victim)[0]["JobStatus"])
                return worker, printed, status, attacker_kernel.call(f"probe.meddle({victim})", 60)
        except StepFailed:
            roomy = _roomy_workers(kernel)
            if worker in roomy or not roomy:
                raise


def _roomy_workers(kernel: Kernel) -> list[str]:
    """The workers that take two jobs at a time."""
    machines = kernel.call("probe.machines()", 30)
    return sorted(machine for machine, cpus in machines.items() if cpus >= 2)
