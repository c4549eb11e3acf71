"""Declared links pass the network policies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cantiere.errors import Problem
from cantiere.values.checks import hub_policies
from cantiere.values.checks.policies import NAMESPACE_NAME, End, Policy, cut_by
from cantiere.values.checks.subject import Subject, containers, items, mapping, metadata, namespace, pod
from cantiere.values.model import Link, Release

DNS = End("kube-system", {"k8s-app": "kube-dns"}, ports={"dns": 53, "dns-tcp": 53})
"""The cluster's name servers: whoever connects by a name asks them first."""

CHOICES = 20
"""Pods of one end that are looked at; more are alike."""


def check(subject: Subject) -> list[Problem]:
    """Links that a policy cuts at either end, and sources that cannot ask for names.

    Policies add up, so that manifests tell of a cut only where those of all releases are known.
    """
    if subject.rendered and any(release.name not in subject.rendered for release in subject.releases):
        return []
    policies = list(all_policies(subject))
    pods = list(all_pods(subject))
    problems: dict[tuple[str, str], Problem] = {}
    for release in subject.releases:
        for link in release.links:
            for problem in _of_link(subject, release, link, policies, pods):
                problems.setdefault((problem.path, problem.message), problem)
    return list(problems.values())


def all_policies(subject: Subject) -> Iterator[Policy]:
    """Every NetworkPolicy of the releases: of their manifests, or for JupyterHub without manifests as its values make them."""
    for release in subject.releases:
        for _, manifest in subject.manifests(release):
            if manifest.get("kind") == "NetworkPolicy":
                name = str(metadata(manifest).get("name", ""))
                yield Policy(name, namespace(manifest, release), release.name, mapping(manifest, "spec"))
        if release.chart == hub_policies.CHART and release.name not in subject.rendered:
            yield from hub_policies.policies(release)


def all_pods(subject: Subject) -> Iterator[End]:
    """Pods that the releases' workloads make."""
    inside = _networks(subject)
    for release in subject.releases:
        for _, manifest in subject.manifests(release):
            made = pod(manifest)
            if made is None or made[1].get("hostNetwork"):  # policies do not rule what uses its machine's network
                continue
            offered = [port for _, container in containers(made[1]) for port in items(container, "ports") if "containerPort" in port]
            ports = {str(port["name"]): int(port["containerPort"]) for port in offered if "name" in port}
            labels = {str(key): str(value) for key, value in made[0].items()}
            where = namespace(manifest, release)
            offers = frozenset(int(port["containerPort"]) for port in offered)
            yield End(where, labels, _namespace_labels(where), ports, inside[:1], offers)


def _namespace_labels(name: str) -> Mapping[str, str]:
    return {NAMESPACE_NAME: name}


def _networks(subject: Subject) -> tuple[str, ...]:
    cluster = subject.context.cluster
    return tuple(text for text in (cluster.pod_subnet, cluster.service_subnet) if text)


def _of_link(subject: Subject, release: Release, link: Link, policies: list[Policy], pods: list[End]) -> Iterator[Problem]:
    inside = _networks(subject)
    sources = _ends(link.source, link.source_namespace, pods, inside)
    targets = _ends(link.target, link.target_namespace, pods, inside, link.port)
    for source in sources:
        for target in targets:
            cuts = cut_by(policies, "Egress", source, target, target, link.port, "TCP", inside)
            if cuts:
                yield _problem(subject, release, link, "Egress", cuts, policies)
            cuts = cut_by(policies, "Ingress", target, source, target, link.port, "TCP", inside)
            if cuts:
                yield _problem(subject, release, link, "Ingress", cuts, policies)
        dns = End(DNS.namespace, DNS.labels, _namespace_labels(DNS.namespace), DNS.ports, inside[:1])
        cuts = cut_by(policies, "Egress", source, dns, dns, 53, "UDP", inside)
        if cuts:
            name = cuts[0]
            message = f"{link.why}: NetworkPolicy {name.namespace}/{name.name} keeps {_told(link.source, link.source_namespace)} from DNS"
            remedy = (
                f"let UDP and TCP port 53 to namespace {DNS.namespace} through in the egress rules of {name.name} (release {name.release})"
            )
            yield subject.problem(
                _owner(subject, name, release), "link.dns", f"{name.release}.manifests.NetworkPolicy/{name.name}", message, remedy
            )


def _ends(labels: Mapping[str, str], where: str, pods: Iterable[End], inside: tuple[str, ...], port: int = 0) -> list[End]:
    """The pods that one end of a link means.

    Without labels it is a pod of no particular kind: what serves any pod has to let that one in. Of several kinds of pods with the
    labels those count that offer the port; where no manifest makes such pods, one that has just these labels.
    """
    if not where:
        return [End("", labels)]
    found = [end for end in pods if labels and end.namespace == where and labels.items() <= end.labels.items()]
    offering = [end for end in found if port in end.offers]
    return (offering or found)[:CHOICES] or [End(where, labels, _namespace_labels(where), networks=inside[:1])]


def _problem(subject: Subject, release: Release, link: Link, direction: str, cuts: list[Policy], policies: list[Policy]) -> Problem:
    names = ", ".join(dict.fromkeys(f"{policy.namespace}/{policy.name}" for policy in cuts))
    source, target = _told(link.source, link.source_namespace), _told(link.target, link.target_namespace)
    cut = cuts[0]
    message = f"{link.why}: {direction.lower()} of NetworkPolicy {names} cuts {source} off {target} port {link.port}"
    peer, where = (link.target, link.target_namespace) if direction == "Egress" else (link.source, link.source_namespace)
    written = _rule(direction, peer, where, link.port)
    place = f"{cut.release}.manifests.NetworkPolicy/{cut.name}"
    if cut in policies and cut.name.startswith(hub_policies.MARK):
        place = f"{cut.release}.values.{hub_policies.path(cut.name, direction)}"
    remedy = f"add to {place}: {written}"
    return subject.problem(_owner(subject, cut, release), "link.cut", place, message, remedy)


def _rule(direction: str, labels: Mapping[str, str], where: str, port: int) -> str:
    if where:
        chosen = ", ".join(f"{key}: {value}" for key, value in labels.items())
        peer = f"{{namespaceSelector: {{matchLabels: {{{NAMESPACE_NAME}: {where}}}}}, podSelector: {{matchLabels: {{{chosen}}}}}}}"
    else:
        peer = "{ipBlock: {cidr: 0.0.0.0/0}}"
    side = "to" if direction == "Egress" else "from"
    return f"{{{side}: [{peer}], ports: [{{port: {port}}}]}}"


def _told(labels: Mapping[str, str], where: str) -> str:
    if not where:
        return "outside of the cluster"
    return f"{where}/{'/'.join(str(value) for value in labels.values()) or 'any pod'}"


def _owner(subject: Subject, policy: Policy, fallback: Release) -> Release:
    return next((release for release in subject.releases if release.name == policy.release), fallback)
