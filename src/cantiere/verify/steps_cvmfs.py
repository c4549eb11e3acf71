"""Steps with CVMFS: software of the facility's repository is read and run in a notebook and in a job."""

from __future__ import annotations

from cantiere.verify import jobs
from cantiere.verify.result import StepNotRun, require
from cantiere.verify.session import Session

REMEDY = "see `./cantiere logs` of the software service"

LOOK = """
cd "/cvmfs/$1" || exit 1
file=$(find . -type f -perm -u+x ! -name '.cvmfs*' | sort | head -n 1)
[ -n "$file" ] || { echo "no program in /cvmfs/$1"; exit 1; }
touch "$file" 2>/dev/null && { echo "/cvmfs/$1 can be written to"; exit 1; }
echo "$(find . -type f ! -name '.cvmfs*' | wc -l) files; $file says: $("$file" | head -n 1)"
"""


def software(session: Session) -> str:
    """A notebook and a job list the repository, cannot write to it, and run a program from it."""
    repository = session.target.repository
    if not repository:
        raise StepNotRun("CVMFS is off in this facility (input cvmfs)")
    kernel = session.kernel(session.member())
    in_notebook = kernel.call(f"probe.shell({LOOK!r}, {repository!r})", 60, REMEDY)
    require(in_notebook["code"] == 0, f"in a notebook: {in_notebook['output']}", REMEDY)
    script = f"set -- {repository}\n{LOOK}"
    with jobs.queued(kernel, script) as cluster:
        jobs.reached(kernel, cluster, jobs.COMPLETED)
        in_job = jobs.outputs(kernel, cluster)[0].strip()
    require("says:" in in_job, f"in a job: {in_job}", REMEDY)
    return f"/cvmfs/{repository} in a notebook: {in_notebook['output']}; in a job: {in_job}"
