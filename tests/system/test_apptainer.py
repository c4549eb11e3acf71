"""Jobs that name a container image: turned on by an input, run in an unpacked image and in a SIF file, turned off again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cantiere.verify import jobs
from cantiere.verify.command import target
from cantiere.verify.session import Session
from cantiere.workspace import open_applied

pytestmark = pytest.mark.full
SITE = "here"
ADVERTISED = ("HasContainer", "HasSandboxImage", "HasSIF", "HasUserNamespaces")

MAKE_IMAGE = """
set -e
mkdir -p "$1/bin" "$1/dev" "$1/etc" "$1/proc" "$1/srv" "$1/tmp" "$1/var/tmp"
for program in sh cat id ls wc; do
  file=$(readlink -f "$(command -v "$program")")
  cp "$file" "$1/bin/$program"
  for library in $(ldd "$file" | grep -o '/[^ ]*'); do
    mkdir -p "$1${library%/*}"
    cp -L "$library" "$1$library"
  done
done
: > "$1/etc/passwd"
: > "$1/etc/group"
echo 'an image of the user' > "$1/etc/motd"
"""
"""Makes the root file system of an image from programs of the notebook: a shell, and what a job here calls."""

PACK = """
apptainer -s build --force "$1.sif" "$1" >/dev/null
base64 -w 0 "$1.sif"
"""

LOOK = """
cat /etc/motd
id -u
ls /bin | wc -w
ls "$BEARER_TOKEN_FILE" "$SSL_CERT_FILE" >/dev/null && echo token and certificates
"""


@pytest.fixture
def session(facility: Any) -> Iterator[Session]:
    facility.run("up", "--input", "job_containers=true")
    with ExitStack() as cleanup:
        workspace, _ = open_applied(SITE)
        yield Session(target(workspace), cleanup)
    facility.run("up")


def run(session: Session, script: str, image: str) -> str:
    """What a user's job with a token prints in an image."""
    kernel = session.kernel(session.member())
    with jobs.queued(kernel, script, token=True, image=image) as cluster:
        jobs.reached(kernel, cluster, jobs.COMPLETED)
        return jobs.outputs(kernel, cluster)[0]


def test_jobs_run_in_images_of_their_users(session: Session) -> None:
    kernel, control = session.kernel(session.member()), session.target.control
    worker = session.target.parts.workers[0]
    told = control.exec(worker, ["condor_status", "-startd", "-af", *ADVERTISED]).stdout.split()
    assert told and set(told) == {"true"}, told

    made = kernel.call(f"probe.shell({MAKE_IMAGE!r}, '/tmp/image')", 60)
    assert made["code"] == 0, made
    packed = control.exec(worker, ["sh", "-c", f"{MAKE_IMAGE}{PACK}", "sh", "/tmp/image"], 120)
    assert packed.code == 0, packed.stderr
    kernel.run(f"import base64, pathlib; pathlib.Path('/tmp/image.sif').write_bytes(base64.b64decode({packed.stdout.strip()!r}))")

    for image in ("/tmp/image", "/tmp/image.sif"):
        begin = time.monotonic()
        motd, uid, programs, found = run(session, LOOK, image).splitlines()
        print(f"\n  a job in {image}: {time.monotonic() - begin:.1f} s")
        assert motd == "an image of the user"
        assert int(uid) > 0 and int(programs) == 5
        assert found == "token and certificates"


def test_turned_off_it_is_gone(facility: Any) -> None:
    assert facility.run("plan", "--exit-code").returncode == 0
    workspace, _ = open_applied(SITE)
    parts = target(workspace)
    told = parts.control.exec(parts.parts.workers[0], ["condor_status", "-startd", "-af", "HasContainer"]).stdout.split()
    assert told and set(told) == {"undefined"}, told
