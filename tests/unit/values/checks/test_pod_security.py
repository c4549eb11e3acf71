"""Levels of the Pod Security Standards."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.values.checks.pod_security import needed
from support.releases import full, problems, release, workload


def level(made: dict[str, Any]) -> str:
    return needed(made["spec"]["template"]["spec"])[0]


@pytest.mark.parametrize("more", [{}, {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {}}]}])
def test_restricted(more: dict[str, Any]) -> None:
    assert level(workload(more)) == "restricted"


@pytest.mark.parametrize(
    ("spec", "container"),
    [
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, {}),
        ({"securityContext": {"runAsNonRoot": True}}, {}),
        ({}, {"securityContext": {"capabilities": {"drop": ["ALL"]}}}),
        ({}, {"securityContext": {"allowPrivilegeEscalation": False}}),
        ({}, {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["SETUID"]}}}),
        ({"volumes": [{"name": "a", "nfs": {"server": "x", "path": "/"}}]}, {}),
    ],
)
def test_baseline(spec: dict[str, Any], container: dict[str, Any]) -> None:
    assert level(workload(spec, container)) == "baseline"


@pytest.mark.parametrize(
    ("spec", "container"),
    [
        ({"hostNetwork": True}, {}),
        ({"hostPID": True}, {}),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, {}),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, {}),
        ({}, {"securityContext": {"privileged": True}}),
        ({}, {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        ({}, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        ({}, {"securityContext": {"procMount": "Unmasked"}}),
        ({}, {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}),
        ({}, {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
        ({}, {"ports": [{"containerPort": 80, "hostPort": 80}]}),
        ({}, {"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
    ],
)
def test_privileged(spec: dict[str, Any], container: dict[str, Any]) -> None:
    assert level(workload(spec, container)) == "privileged"


def test_a_workload_that_needs_more_than_its_release_asks_for() -> None:
    host = workload({"hostNetwork": True})
    (found,) = full(release(), one=[host])
    assert (found.code, found.path) == ("pod-security.workload", "one.manifests.Deployment/work")
    assert "hostNetwork: true" in found.message and "'privileged'" in found.remedy
    assert problems(release(pod_security="privileged"), one=[host]) == []
    assert problems(release(pod_security="restricted"), one=[workload()]) == []


def test_cron_jobs_have_pods_too() -> None:
    job = {"spec": {"template": workload({"hostIPC": True})["spec"]["template"]}}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": job}}
    assert problems(release(), one=[cron]) == ["pod-security.workload one.manifests.CronJob/c"]


def test_namespaces_say_their_level() -> None:
    bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    said = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}},
    }
    assert problems(release(), one=[bare, said]) == ["pod-security.label one.manifests.Namespace/n"]
    assert problems(release(pod_security="open")) == ["pod-security.level one.pod_security"]
