"""Workloads keep within the level of their release, and every namespace says its level. Pure.

The controls are those of the Pod Security Standards: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.values.checks.subject import Subject, containers, identity, items, mapping, metadata, pod
from cantiere.values.model import POD_SECURITY

LABEL = "pod-security.kubernetes.io/enforce"

CAPABILITIES = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split()
)
"""What ``baseline`` lets a container add."""

SYSCTLS = frozenset(
    "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies "
    "net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout "
    "net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem".split()
)
VOLUMES = frozenset("configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret".split())
"""Kinds of volumes that ``restricted`` lets through."""

SELINUX = frozenset(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"])
ISOLATED = ("RuntimeDefault", "Localhost")


def check(subject: Subject) -> list[Problem]:
    """Levels that are none, workloads that need a weaker one than their release asks for, and namespaces without a level."""
    problems = []
    for release in subject.releases:
        if release.pod_security not in POD_SECURITY:
            message = f"{release.name}: {release.pod_security!r} is no level of the Pod Security Standards"
            remedy = f"use one of: {', '.join(POD_SECURITY)}"
            problems.append(subject.problem(release, "pod-security.level", f"{release.name}.pod_security", message, remedy))
            continue
        for place, manifest in subject.manifests(release):
            if manifest.get("kind") == "Namespace" and LABEL not in mapping(metadata(manifest), "labels"):
                message = f"{release.name}: {identity(manifest)} says no level of pod security"
                problems.append(subject.problem(release, "pod-security.label", place, message, f"give it the label {LABEL}"))
            made = pod(manifest)
            if made is None:
                continue
            level, reasons = needed(made[1])
            if POD_SECURITY.index(level) > POD_SECURITY.index(release.pod_security):
                message = f"{release.name}: {identity(manifest)} needs pod security {level!r}: {'; '.join(reasons)}"
                remedy = f"change its values, or let the release ask for {level!r} where {release.pod_security!r} stands"
                problems.append(subject.problem(release, "pod-security.workload", place, message, remedy))
    return problems


def needed(spec: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The strictest level that lets a pod through, and what keeps it from the next stricter one.

    Parameters
    ----------
    spec:
        The pod's ``spec``.
    """
    against_baseline = list(dict.fromkeys(_against_baseline(spec)))
    if against_baseline:
        return "privileged", against_baseline
    against_restricted = list(dict.fromkeys(_against_restricted(spec)))
    return ("baseline", against_restricted) if against_restricted else ("restricted", [])


def _against_baseline(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key}: true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    yield from (f"hostPath volume {volume.get('name')}" for volume in items(spec, "volumes") if "hostPath" in volume)
    for sysctl in items(spec, "securityContext", "sysctls"):
        if sysctl.get("name") not in SYSCTLS:
            yield f"sysctl {sysctl.get('name')}"
    yield from _weak_context("the pod", mapping(spec, "securityContext"))
    for place, container in containers(spec):
        context = mapping(container, "securityContext")
        yield from _weak_context(place, context)
        if context.get("privileged"):
            yield f"{place} is privileged"
        added = set(items(context, "capabilities", "add")) - CAPABILITIES
        if added:
            yield f"{place} adds capabilities {', '.join(sorted(added))}"
        if context.get("procMount", "Default") != "Default":
            yield f"{place} has procMount {context['procMount']}"
        yield from (f"{place} has hostPort {port['hostPort']}" for port in items(container, "ports") if port.get("hostPort"))
        handlers = [mapping(container, probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [mapping(container, "lifecycle", hook) for hook in ("postStart", "preStop")]
        if any(mapping(handler, kind).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket")):
            yield f"{place} probes another host"


def _weak_context(place: str, context: Mapping[str, Any]) -> Iterator[str]:
    if mapping(context, "windowsOptions").get("hostProcess"):
        yield f"{place} is a host process"
    if mapping(context, "seccompProfile").get("type") == "Unconfined":
        yield f"{place} has seccompProfile Unconfined"
    if mapping(context, "appArmorProfile").get("type") == "Unconfined":
        yield f"{place} has appArmorProfile Unconfined"
    options = mapping(context, "seLinuxOptions")
    if options.get("type", "") not in SELINUX or options.get("user") or options.get("role"):
        yield f"{place} sets seLinuxOptions"


def _against_restricted(spec: Mapping[str, Any]) -> Iterator[str]:
    for volume in items(spec, "volumes"):
        yield from (f"volume {volume.get('name')} is a {kind}" for kind in volume if kind != "name" and kind not in VOLUMES)
    outer = mapping(spec, "securityContext")
    if outer.get("runAsUser") == 0:
        yield "the pod has runAsUser 0"
    for place, container in containers(spec):
        context = mapping(container, "securityContext")
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{place} lacks allowPrivilegeEscalation: false"
        if context.get("runAsNonRoot", outer.get("runAsNonRoot")) is not True:
            yield f"{place} lacks runAsNonRoot: true"
        if context.get("runAsUser") == 0:
            yield f"{place} has runAsUser 0"
        profile = mapping(context, "seccompProfile") or mapping(outer, "seccompProfile")
        if profile.get("type") not in ISOLATED:
            yield f"{place} lacks seccompProfile RuntimeDefault"
        if "ALL" not in items(context, "capabilities", "drop"):
            yield f"{place} does not drop all capabilities"
        if more := set(items(context, "capabilities", "add")) - {"NET_BIND_SERVICE"}:
            yield f"{place} adds capabilities {', '.join(sorted(more))}"
