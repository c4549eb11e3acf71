"""Platform, the pool: tokens submit, execute pods follow the load, and no running job and no queue is lost on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cantiere.services.iam import USER_SCOPES
from cantiere.verify.tokens import FOREIGN_AUDIENCE, forge
from support.waiting import until

if TYPE_CHECKING:
    from system.platform.conftest import Platform

POOL = "pool"
CLIENT = "pool-test-client"
TOKEN = "/tmp/token"
CA = "/tmp/ca.pem"
SCOPES = " ".join(scope for scope in USER_SCOPES if scope.startswith(("compute.", "wlcg")))
NOTEBOOK = {"app.kubernetes.io/name": "jupyterhub", "app.kubernetes.io/component": "singleuser-server"}
"""Labels of notebooks, who may submit: what submits here stands in for one."""

WAITING, RUNNING, COMPLETED = 1, 2, 4
JOB = "executable = /bin/sleep\ntransfer_executable = false\nrequest_cpus = 1\nrequest_memory = 64MB\nrequest_disk = 1MB\n"
SHORT, LONG = 15, 180
STARTED_WITHIN = 90.0
ANSWERS_WITHIN = 45.0
REACTION = 180.0
"""Seconds for a scrape, the adapter's look at its series, and the autoscaler's rounds."""


class Submitter:
    """A pod with HTCondor's tools and nothing of the pool's but its address."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.domain = platform.target.domain
        self.schedd = f"{POOL}-ap.{self.domain}"

    def manifest(self) -> dict[str, Any]:
        (head,) = (one for one in self.platform.objects("statefulsets") if one["metadata"]["name"] == f"{POOL}-cm")
        told = {
            "CONDOR_CONFIG": "ONLY_ENV",
            "_CONDOR_COLLECTOR_HOST": f"{POOL}-cm.{self.domain}:9618",
            "_CONDOR_SCHEDD_HOST": self.schedd,
            "_CONDOR_CREDD_HOST": self.schedd,
            "_CONDOR_TRUST_DOMAIN": self.domain,
            "_CONDOR_UID_DOMAIN": self.domain,
            "_CONDOR_SEC_DEFAULT_AUTHENTICATION": "REQUIRED",
            "_CONDOR_SEC_DEFAULT_ENCRYPTION": "REQUIRED",
            "_CONDOR_SEC_DEFAULT_INTEGRITY": "REQUIRED",
            "_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS": "SCITOKENS",
            "_CONDOR_AUTH_SSL_CLIENT_CAFILE": CA,
            "BEARER_TOKEN_FILE": TOKEN,
        }
        container = {
            "name": "client",
            "image": head["spec"]["template"]["spec"]["containers"][0]["image"],
            "command": ["sh", "-c", f"cat /etc/ssl/certs/ca-certificates.crt /ca/ca.pem > {CA}; exec sleep 86400"],
            "env": [{"name": name, "value": value} for name, value in told.items()],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        }
        user = {"runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}}
        secret = {"secretName": f"{POOL}-worker-default", "items": [{"key": "ca.pem", "path": "ca.pem"}]}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": CLIENT, "namespace": self.platform.namespace, "labels": NOTEBOOK},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "securityContext": user,
                "containers": [container],
                "volumes": [{"name": "ca", "secret": secret}],
            },
        }

    def run(self, script: str) -> Any:
        return self.platform.exec(CLIENT, ["sh", "-c", script])

    def carry(self, token: str) -> None:
        """From now on submit with this token; with none where it is empty."""
        done = self.run(f"umask 077; rm -f {TOKEN}; [ -z '{token}' ] || printf %s '{token}' > {TOKEN}")
        assert done.code == 0, done.stderr

    def attempt(self, description: str) -> Any:
        return self.run(f"cat > /tmp/job <<'END'\n{description}END\ncd /tmp; condor_submit -terse -remote {self.schedd} job")

    def submit(self, seconds: float, count: int = 1, more: str = "") -> int:
        """Queue jobs that sleep; their cluster."""
        description = f"{JOB}arguments = {seconds}\n{more}queue {count}\n"
        # a collector that is short of time may not answer; nothing was queued then
        done = until(ANSWERS_WITHIN, lambda: self.attempt(description), lambda answer: "find address" not in answer.stderr)
        assert done.code == 0, done.stdout + done.stderr
        return int(done.stdout.split(".")[0])

    def jobs(self, cluster: int) -> list[dict[str, Any]]:
        wanted = "ProcId,JobStatus,NumJobStarts,NumShadowStarts,RemoteHost,LastRemoteHost,AssignedGPUs"
        ask = f"condor_q -all {cluster} -json -attributes {wanted}"
        done = until(ANSWERS_WITHIN, lambda: self.run(ask), lambda answer: answer.code == 0)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return sorted(found, key=lambda job: int(job["ProcId"]))

    def reached(self, cluster: int, status: int, count: int, within: float) -> list[dict[str, Any]]:
        """Wait until so many jobs of a cluster have a status; all its jobs."""
        return until(within, lambda: self.jobs(cluster), lambda jobs: sum(job["JobStatus"] == status for job in jobs) >= count)


def pod_of(job: dict[str, Any]) -> str:
    """The pod on which a job runs, or has run."""
    return str(job.get("RemoteHost") or job["LastRemoteHost"]).partition("@")[2].partition(".")[0]


def starts(jobs: list[dict[str, Any]]) -> list[int]:
    return [job["NumJobStarts"] for job in jobs]


@pytest.fixture(scope="module")
def submitter(platform: Platform) -> Iterator[Submitter]:
    """A submitter with a good token of a member."""
    made = Submitter(platform)
    platform.apply(made.manifest())
    try:
        platform.kubectl("-n", platform.namespace, "wait", "--for=condition=Ready", "--timeout=90s", f"pod/{CLIENT}")
        made.carry(platform.token("alice", SCOPES, f"https://{made.schedd}"))
        yield made
    finally:
        platform.kubectl("-n", platform.namespace, "delete", "pod", CLIENT, "--wait=false")


@pytest.fixture(scope="module")
def scaler(platform: Platform) -> dict[str, Any]:
    """The autoscaler of the default class."""
    found = {one["metadata"]["name"]: one for one in platform.objects("hpa")}
    assert f"{POOL}-worker-default" in found, "this scenario needs the input worker_scaling with style hpa"
    return found[f"{POOL}-worker-default"]


def workers(platform: Platform) -> set[str]:
    """Names of the execute pods of the default class that are not about to end."""
    pods = platform.objects(
        "pods", "-l", f"app.kubernetes.io/instance={POOL},cantiere.io/worker-class=default", "--field-selector=status.phase!=Succeeded"
    )
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def test_only_a_good_token_submits(platform: Platform, submitter: Submitter) -> None:
    audience = f"https://{submitter.schedd}"
    good = platform.token("alice", SCOPES, audience)
    bad = {
        "none": "",
        "another audience": platform.token("alice", SCOPES, FOREIGN_AUDIENCE),
        "no member": platform.token("bob", SCOPES, audience),
        "no right to submit": platform.token("alice", "wlcg.groups compute.read", audience),
        "signed by another key": forge(good),
    }
    for name, token in bad.items():
        submitter.carry(token)
        done = submitter.attempt(f"{JOB}arguments = 1\nqueue\n")
        assert done.code != 0, f"{name} was let in: {done.stdout}"
    submitter.carry(good)
    (job,) = submitter.reached(submitter.submit(1), COMPLETED, 1, STARTED_WITHIN)
    assert job["NumJobStarts"] == 1
    assert pod_of(job).startswith(f"{POOL}-worker-default-")


def test_workers_follow_the_load_and_no_job_is_lost(platform: Platform, submitter: Submitter, scaler: dict[str, Any]) -> None:
    least, most = scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
    cooldown = scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    until(cooldown + REACTION, lambda: workers(platform), lambda pods: len(pods) == least)
    began = time.monotonic()
    long = submitter.submit(LONG)
    (job,) = submitter.reached(long, RUNNING, 1, STARTED_WITHIN)
    short: list[int] = []

    def kept_busy() -> set[str]:
        """The workers, while jobs wait for them."""
        if not short or any(one["JobStatus"] != WAITING for one in submitter.jobs(short[-1])):
            short.append(submitter.submit(SHORT, most))
        return workers(platform)

    until(REACTION, kept_busy, lambda pods: len(pods) == most)
    print(f"\n  {least} -> {most} execute pods {time.monotonic() - began:.0f} s after the first job")
    for cluster in short:
        jobs = submitter.reached(cluster, COMPLETED, most, REACTION)
        assert starts(jobs) == [1] * most
    print(f"  {len(short) * most} short jobs in, {len(short) * most} out, each begun once")
    idle_since = time.monotonic()
    left = until(cooldown + REACTION, lambda: workers(platform), lambda pods: len(pods) < most)
    print(f"  {most} -> {len(left)} {time.monotonic() - idle_since:.0f} s after the last short job, cool-down {cooldown} s")
    assert pod_of(job) in left, "the pod with a job went before idle ones"
    assert submitter.jobs(long)[0]["JobStatus"] == RUNNING, "the long job is too short to tell"
    (job,) = submitter.reached(long, COMPLETED, 1, LONG)
    assert starts([job]) == [1]


def test_a_stopped_worker_ends_its_job_first(platform: Platform, submitter: Submitter) -> None:
    cluster = submitter.submit(20)
    (job,) = submitter.reached(cluster, RUNNING, 1, STARTED_WITHIN)
    platform.kubectl("-n", platform.namespace, "delete", "pod", pod_of(job), "--wait=false")
    assert pod_of(job) in platform.target.workers(), "the verification does not look where a job still runs"
    (done,) = submitter.reached(cluster, COMPLETED, 1, STARTED_WITHIN)
    assert (starts([done]), pod_of(done)) == ([1], pod_of(job))


def test_the_queue_outlives_the_access_points_pod(platform: Platform, submitter: Submitter) -> None:
    running = submitter.submit(45)
    waiting = submitter.submit(1, 3, more="requirements = false\n")
    (before,) = submitter.reached(running, RUNNING, 1, STARTED_WITHIN)
    began = time.monotonic()
    platform.kubectl("-n", platform.namespace, "delete", "pod", f"{POOL}-ap-0", "--wait=true", "--timeout=90s")
    platform.kubectl("-n", platform.namespace, "rollout", "status", f"statefulset/{POOL}-ap", "--timeout=120s")
    print(f"\n  the access point was away for {time.monotonic() - began:.0f} s")
    assert [job["ProcId"] for job in submitter.jobs(waiting)] == [0, 1, 2]
    (after,) = submitter.reached(running, COMPLETED, 1, 120.0)
    # an access point counts a start when its shadow reports next, and one that finds the job again reports none
    assert (after["NumJobStarts"] <= 1, pod_of(after)) == (True, pod_of(before)), "the running job was begun again"
    submitter.run(f"condor_rm -name {submitter.schedd} {waiting}")


def test_jobs_for_gpus_go_where_some_are(platform: Platform, submitter: Submitter) -> None:
    """The GPUs are simulated by HTCondor's own discovery: no device is there, the matching is real."""
    classes = {one["metadata"].get("labels", {}).get("cantiere.io/worker-class") for one in platform.objects("pods")}
    assert "gpu" in classes, "this scenario needs the input worker_classes with a class gpu of simulated GPUs"
    jobs = submitter.reached(submitter.submit(1, more="request_gpus = 1\n"), COMPLETED, 1, STARTED_WITHIN)
    assert f"{POOL}-worker-gpu-" in pod_of(jobs[0])
    plain = submitter.reached(submitter.submit(1), COMPLETED, 1, STARTED_WITHIN)
    assert f"{POOL}-worker-gpu-" not in pod_of(plain[0])
