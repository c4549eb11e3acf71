"""Nodes of the cluster, asked and told through a control-plane machine: no credential of the cluster leaves its machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.kubernetes.nodes import DRAINED
from cantiere.machines import jobs
from cantiere.machines.model import Machine
from cantiere.machines.seen import ClusterSeen, NodeSeen
from cantiere.machines.ssh import Ssh

ADMIN = "/etc/kubernetes/admin.conf"
KUBECTL = f"kubectl --kubeconfig {ADMIN}"
ASK = f"{KUBECTL} --request-timeout=10s"
MEMBER = "/etc/kubernetes/cantiere/member"
"""What a machine has once it is a whole member of the cluster; one that was begun and not ended is begun again."""
NO_CLUSTER = 3
DRAIN_SECONDS, READY_SECONDS = 300, 300
POD_SECONDS = 150.0
POLL_SECONDS = 1.0


def see(ssh: Ssh, controls: Sequence[Machine]) -> ClusterSeen:
    """What the control-plane machines say of the cluster.

    Parameters
    ----------
    ssh:
        How machines are reached.
    controls:
        The control-plane machines that are up.
    """
    ask = f"test -f {MEMBER} || exit {NO_CLUSTER}; {ASK} get nodes -o json"
    found = Ssh.each(controls, lambda machine: ssh.run(machine.name, ask, timeout=40))
    answers = [done.stdout for done in found.values() if done.returncode == 0]
    exists = any(done.returncode not in (NO_CLUSTER, 255, 124) for done in found.values())
    if not answers:
        return ClusterSeen(exists=exists)
    return ClusterSeen(True, True, {item["metadata"]["name"]: _node(item) for item in json.loads(answers[0])["items"]})


def _node(item: Mapping[str, Any]) -> NodeSeen:
    info, spec = item["status"]["nodeInfo"], item["spec"]
    conditions = {entry["type"]: entry["status"] for entry in item["status"].get("conditions", ())}
    taints = tuple(f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in spec.get("taints", ()))
    return NodeSeen(
        ready=conditions.get("Ready") == "True",
        version=str(info["kubeletVersion"]).removeprefix("v"),
        machine_id=str(info["machineID"]),
        labels=item["metadata"].get("labels", {}),
        taints=taints,
        schedulable=not spec.get("unschedulable", False),
    )


def await_api(ssh: Ssh, controls: Sequence[Machine], patience: float) -> ClusterSeen:
    """See the cluster again and again until its API answers, or the patience (seconds) is over."""
    deadline = time.monotonic() + patience
    seen = see(ssh, controls)
    while seen.exists and not seen.answers and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        seen = see(ssh, controls)
    return seen


def depart(ssh: Ssh, controls: Iterable[Machine], name: str, reachable: bool, log: Callable[[str], None]) -> None:
    """Take a node out of the cluster: jobs may end, pods are evicted as their disruption budgets allow, node and etcd member removed.

    Parameters
    ----------
    controls:
        Control-plane machines that stay, one of which does the work.
    name:
        The node.
    reachable:
        Whether its machine is up; the pods of a dead machine are not waited for.
    log:
        Takes lines of long work.

    Raises
    ------
    CantiereError
        Pods could not be evicted in time, or the control plane does not answer.
    """
    helper = _helper(ssh, [machine for machine in controls if machine.name != name], name)
    if reachable:
        _drain(ssh, helper, name, log)
    _remove_member(ssh, helper, name, log)
    ssh.must(helper, f"{ASK} delete node {name} --ignore-not-found")


def empty(ssh: Ssh, controls: Sequence[Machine], name: str, log: Callable[[str], None]) -> None:
    """Let the pods of a node leave, so that its machine can go down for a while; :func:`take_back` ends that, as the next run does.

    Parameters
    ----------
    controls:
        Control-plane machines, one of which does the work.
    name:
        The node.
    log:
        Takes lines of long work.

    Raises
    ------
    CantiereError
        Pods could not be evicted in time, or the control plane does not answer.
    """
    helper = _helper(ssh, controls, name)
    ssh.must(helper, f"{ASK} annotate node {name} {DRAINED}=change --overwrite")
    _drain(ssh, helper, name, log)


def take_back(ssh: Ssh, controls: Sequence[Machine], machine: Machine, log: Callable[[str], None]) -> None:
    """Wait until the node of a machine that was down is ready in this very boot, and let pods come back.

    Parameters
    ----------
    controls:
        Control-plane machines; that one may be among them.
    machine:
        The machine.
    log:
        Takes lines of long work.

    Raises
    ------
    CantiereError
        It does not become ready.
    """
    name, deadline = machine.name, time.monotonic() + READY_SECONDS
    log(f"{name}: waiting for its node")
    boot = ssh.must(name, "cat /proc/sys/kernel/random/boot_id").strip()
    ready = (
        "jsonpath='{.status.nodeInfo.bootID} {.status.conditions[?(@.type==\"Ready\")].status}'",
        f"{ASK} --server=https://{machine.address}:6443 get --raw /readyz",
    )
    while True:
        asked = [ssh.run(helper.name, f"{ASK} get node {name} -o {ready[0]}", timeout=20) for helper in controls]
        answers = [done.stdout.strip() for done in asked if done.returncode == 0]
        serves = not machine.controls or ssh.run(name, ready[1], timeout=20).returncode == 0
        if f"{boot} True" in answers and serves:
            break
        if time.monotonic() > deadline:
            message = f"the node {name} is not ready {READY_SECONDS} s after its machine came back"
            raise CantiereError(Problem("node.silent", message, f"see `journalctl -u kubelet` on {name}; then run again", path=name))
        time.sleep(POLL_SECONDS)
    allow(ssh, controls, name)


def allow(ssh: Ssh, controls: Sequence[Machine], name: str) -> None:
    """Let pods come back to a node; where it is not ready, Kubernetes itself keeps them away.

    Raises
    ------
    CantiereError
        The control plane does not answer.
    """
    ssh.must(_helper(ssh, controls, name), f"{ASK} uncordon {name} && {ASK} annotate node {name} {DRAINED}-")


def _execute_points(ssh: Ssh, helper: str, name: str) -> list[int]:
    """Of each execute point of HTCondor on a node the seconds that its jobs have to end; it stops taking jobs when its pod is to end."""
    ask = f"{ASK} get pods -A -l {jobs.PODS} --field-selector spec.nodeName={name} -o json"
    return [int(item["spec"].get("terminationGracePeriodSeconds", 0)) for item in json.loads(ssh.must(helper, ask, timeout=40))["items"]]


def _drain(ssh: Ssh, helper: str, name: str, log: Callable[[str], None]) -> None:
    """No new pods; jobs of HTCondor may end first, then the other pods are evicted as their disruption budgets allow."""
    if grace := _execute_points(ssh, helper, name):
        log(f"{name}: its execute points take no more jobs; those that run have up to {max(grace)} s to end")
        _evict(ssh, helper, name, max(grace) + DRAIN_SECONDS, log, f" --pod-selector={jobs.PODS}")
    _evict(ssh, helper, name, DRAIN_SECONDS, log)


def _evict(ssh: Ssh, helper: str, name: str, seconds: int, log: Callable[[str], None], some: str = "") -> None:
    """Cordon a node and evict its pods, all or some of them, and wait until they are gone."""
    drain = f"{KUBECTL} drain {name} --ignore-daemonsets --delete-emptydir-data{some} --timeout={seconds}s"
    done = ssh.run(helper, drain, timeout=seconds + 30)
    for line in done.stdout.splitlines():
        log(f"{name}: {line}")
    if done.returncode and "not found" not in done.stderr:
        raise CantiereError(
            Problem(
                "node.drain",
                f"{name} could not be drained within {seconds} s: {done.stderr.strip()[-600:]}",
                "see which PodDisruptionBudget forbids it (`kubectl get pdb -A`), give it room, and run the same command again",
                path=name,
            )
        )


def _helper(ssh: Ssh, controls: Sequence[Machine], name: str) -> str:
    for machine in controls:
        if ssh.run(machine.name, f"{ASK} get --raw /readyz", timeout=20).returncode == 0:
            return machine.name
    raise CantiereError(
        Problem(
            "cluster.silent",
            f"no control-plane machine answers for the node {name}",
            "bring a majority of the control-plane machines up first, or restore etcd from a backup",
            path=name,
        )
    )


def _remove_member(ssh: Ssh, helper: str, name: str, log: Callable[[str], None]) -> None:
    """Remove the etcd member of a node, where it has one; else a dead member would count for the majority for ever."""
    certificates = "/etc/kubernetes/pki/etcd"
    etcdctl = (
        f"{ASK} -n kube-system exec {_etcd_pod(ssh, helper, name)} -- etcdctl --endpoints=https://127.0.0.1:2379 "
        f"--cacert={certificates}/ca.crt --cert={certificates}/server.crt --key={certificates}/server.key"
    )
    members = json.loads(ssh.must(helper, f"{etcdctl} member list -w json --hex=false", timeout=40))["members"]
    for member in members:
        if member.get("name") == name:
            log(f"{name}: its etcd member is removed")
            ssh.must(helper, f"{etcdctl} member remove {int(member['ID']):x}", timeout=40)


def _etcd_pod(ssh: Ssh, helper: str, leaving: str) -> str:
    """A pod of etcd on a machine that stays. The kubelet of one that joined just now shows its pod up to two minutes later."""
    ask = f"{ASK} -n kube-system get pods -l component=etcd --field-selector status.phase=Running -o name"
    deadline = time.monotonic() + POD_SECONDS
    while True:
        found = [pod for pod in ssh.must(helper, ask, timeout=40).split() if pod != f"pod/etcd-{leaving}"]
        if found:
            return found[0]
        if time.monotonic() > deadline:
            raise CantiereError(
                Problem(
                    "cluster.etcd",
                    f"{leaving} cannot leave: no other machine has a pod of etcd that runs",
                    f"see why on {helper}: `kubectl -n kube-system get pods -l component=etcd`, `journalctl -u kubelet`",
                    path=leaving,
                )
            )
        time.sleep(POLL_SECONDS)
