"""HTCondor: a central manager, an access point with a persistent spool, and execute points. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Container, Facility, Mount, Node, Probe, Secret, SecretFile
from cantiere.services import job_containers, xrootd
from cantiere.services.facts import CA, Facts
from cantiere.services.htcondor_pod import Pod

TYPE = "cantiere.nodes.HTCondorPool"
MONITORING = "cantiere.nodes.Monitoring"
PORT = 9618
SIGNING_KEY = "signing-key"
USER_ACCOUNTS = "u_*"
"""Names of the accounts made for users; no container is called so, a host name has no underscore."""

TRUST_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
TRUST_FOLDER = "/etc/grid-security/certificates"

UPDATE_INTERVAL = 10
NEGOTIATOR_INTERVAL = 3
SCHEDD_INTERVAL = 3
CREDENTIAL_REFRESH = 20
CREDENTIAL_SWEEP = 3600
JOB_LEASE = 300
VACATE_TIME = 10
"""Seconds between the signal to end and the kill of a job whose time to retire is over."""

DAEMON_MEMORY = 256 << 20
"""Bytes that an execute point's own daemons may use beside its jobs."""

XROOTD_CLIENT = {
    "XRD_CONNECTIONWINDOW": "10",
    "XRD_CONNECTIONRETRY": "2",
    "XRD_REQUESTTIMEOUT": "60",
    "XRD_STREAMTIMEOUT": "30",
    "XRD_STREAMERRORWINDOW": "30",
}
"""Time limits in seconds: without them a client waits for minutes for a server that is gone."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What the configuration of a pool's daemons depends on, wherever they run.

    Parameters
    ----------
    domain:
        Of the pool's identities.
    collector:
        Host name of the central manager.
    schedd_name:
        Full host name of the access point.
    audience:
        What a token must name to be meant for this pool.
    issuers:
        Issuers of users' tokens.
    allowed_groups:
        Groups of which a token must carry one; empty lets everybody in.
    identities:
        ``central_manager``, ``access_point``, ``workers`` and ``users``: who that is, as HTCondor's lists write it.
    readers:
        Identities that may read the queue and nothing else.
    cpus, memory:
        What an execute point offers: cores, and bytes.
    retirement_time:
        Seconds that a running job may go on when its execute point is drained.
    job_environment:
        Variables of every job.
    cgroups:
        Whether an execute point holds its jobs to their limits by control groups of its own.
    job_containers:
        Whether a job may name the container image in which it runs.
    pod:
        What differs in a pod of a cluster; None anywhere else.
    """

    domain: str
    collector: str
    schedd_name: str
    audience: str
    issuers: tuple[str, ...]
    allowed_groups: tuple[str, ...]
    identities: Mapping[str, str]
    readers: tuple[str, ...]
    cpus: int
    memory: int
    retirement_time: float
    job_environment: Mapping[str, str]
    cgroups: bool
    job_containers: bool = False
    pod: Pod | None = None


def central_manager(node: Node) -> str:
    """Name of the central manager's container."""
    return f"{node.name}-cm"


def access_point(node: Node) -> str:
    """Name of the access point's container."""
    return f"{node.name}-ap"


def collector_address(node: Node, facts: Facts) -> str:
    """Host and port of the pool's collector."""
    return f"{facts.fqdn(central_manager(node))}:{PORT}"


def schedd_name(node: Node, facts: Facts) -> str:
    """Name of the schedd in the collector, and of the credd beside it."""
    return facts.fqdn(access_point(node))


def audience(node: Node, facts: Facts) -> str:
    """What a token must name to be meant for this pool (or the WLCG profile's audience for any service)."""
    return f"https://{schedd_name(node, facts)}"


def exporter(monitoring: Node, pool: str) -> str:
    """Name of the container by which a monitoring node reads a pool; only a second pool's is named after the pool."""
    first = monitoring.target("queue") == pool
    return f"{monitoring.name}-exporter" if first else f"{monitoring.name}-exporter-{pool}"


def client_settings(node: Node, facts: Facts, bundle: str = TRUST_BUNDLE) -> dict[str, str]:
    """Environment with which HTCondor's tools and ``htcondor2`` use the pool by a bearer token, without a configuration file.

    Parameters
    ----------
    node:
        The pool.
    facts:
        The facility it stands in.
    bundle:
        File of certificates, inside the client's container, that trusts the facility's CA.

    Returns
    -------
    dict of str to str
        To be set beside ``BEARER_TOKEN_FILE``.
    """
    return {
        "CONDOR_CONFIG": "ONLY_ENV",
        "_CONDOR_COLLECTOR_HOST": collector_address(node, facts),
        "_CONDOR_SCHEDD_HOST": schedd_name(node, facts),
        "_CONDOR_CREDD_HOST": schedd_name(node, facts),
        "_CONDOR_UID_DOMAIN": facts.domain,
        "_CONDOR_TRUST_DOMAIN": facts.domain,
        "_CONDOR_SEC_DEFAULT_AUTHENTICATION": "REQUIRED",
        "_CONDOR_SEC_DEFAULT_ENCRYPTION": "REQUIRED",
        "_CONDOR_SEC_DEFAULT_INTEGRITY": "REQUIRED",
        "_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS": "SCITOKENS",
        "_CONDOR_AUTH_SSL_CLIENT_CAFILE": bundle,
    }


def idtoken(node: Node, facts: Facts, container: str, *permissions: str) -> SecretFile:
    """The token by which a container's daemons are known in the pool, good for the named permissions only.

    Parameters
    ----------
    node:
        The pool.
    facts:
        The facility it stands in.
    container:
        Whose token it is.
    permissions:
        HTCondor's authorization levels, for example ``READ``.
    """
    parameters = {
        "identity": _identity(container, facts),
        "issuer": facts.domain,
        "key": _signing_key(node).name,
        "kid": SIGNING_KEY,
        "scope": " ".join(f"condor:/{permission}" for permission in permissions),
    }
    return SecretFile(Secret(f"{node.name}-idtoken-{container}", "generate:idtoken", parameters), "idtoken")


def settings(node: Node, facts: Facts, role: str) -> dict[str, Any]:
    """Variables of the templates of ``images/htcondor`` for a container: :func:`variables` of the facility's :func:`pool`.

    Parameters
    ----------
    node:
        The pool.
    facts:
        The facility it stands in.
    role:
        ``central-manager``, ``access-point`` or ``execute-point``.
    """
    return variables(pool(node, facts), role)


def pool(node: Node, facts: Facts) -> Pool:
    """What the configuration of a facility's pool depends on.

    Parameters
    ----------
    node:
        The pool.
    facts:
        The facility it stands in.
    """
    return Pool(
        domain=facts.domain,
        collector=facts.fqdn(central_manager(node)),
        schedd_name=schedd_name(node, facts),
        audience=audience(node, facts),
        issuers=facts.issuers(node),
        allowed_groups=tuple(node.properties["allowed_groups"]),
        identities={
            "central_manager": _identity(central_manager(node), facts),
            "access_point": _identity(access_point(node), facts),
            "workers": _identity(f"{node.name}-worker-*", facts),
            "users": _identity(USER_ACCOUNTS, facts),
        },
        readers=tuple(
            _identity(exporter(other, node.name), facts)
            for other in facts.facility.of_type(MONITORING)
            if node.name in other.requirements.get("queue", ())
        ),
        cpus=node.properties["cpus_per_worker"],
        memory=node.properties["memory_per_worker"],
        retirement_time=node.properties["job_retirement_time"],
        job_environment=_job_environment(node, facts),
        cgroups=False,  # the container has no capability for it, and its limits are the machine's
        job_containers=node.properties.get("job_containers", False),
    )


def variables(pool: Pool, *roles: str) -> dict[str, Any]:
    """Variables of the templates of ``images/htcondor`` for a machine or container with these roles.

    Parameters
    ----------
    pool:
        What they are computed from.
    roles:
        ``central-manager``, ``access-point`` and ``execute-point``, in any combination.

    Returns
    -------
    dict
        Intervals and times in seconds, ``memory`` in MiB. Only an execute point's depend on the size of execute points, and
        none on their number.
    """
    told: dict[str, Any] = {"domain": pool.domain, "collector": pool.collector, "update_interval": UPDATE_INTERVAL}
    if pool.pod:
        told |= {"pod": pool.pod.variables(*roles)}
    if "execute-point" in roles:
        told |= {
            "cpus": pool.cpus,
            "memory": pool.memory >> 20,
            # a new slot may be made before the last one is taken away
            "slot_accounts": 2 * pool.cpus + 2,
            "retirement_time": round(pool.retirement_time),
            "vacate_time": VACATE_TIME,
            "credential_refresh": CREDENTIAL_REFRESH,
            "job_environment": pool.job_environment,
            "cgroups": pool.cgroups,
        }
        if pool.job_containers:
            told |= {"job_binds": job_containers.BINDS}
    if {"central-manager", "access-point"} & set(roles):
        told |= {
            "audience": pool.audience,
            "issuers": list(pool.issuers),
            "allowed_groups": list(pool.allowed_groups),
            "identities": pool.identities,
            "readers": list(pool.readers),
        }
    if "central-manager" in roles:
        told |= {"negotiator_interval": NEGOTIATOR_INTERVAL}
    if "access-point" in roles:
        told |= {
            "schedd_name": pool.schedd_name,
            "schedd_interval": SCHEDD_INTERVAL,
            "job_lease": JOB_LEASE,
            "credential_sweep": CREDENTIAL_SWEEP,
        }
    return told


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The central manager, the access point and the execute points of a pool."""
    key = SecretFile(_signing_key(node), SIGNING_KEY)
    probe = Probe(("/usr/libexec/cantiere/probe",), timeout=90.0)
    manager, submitter = central_manager(node), access_point(node)
    head = Container(
        name=manager,
        service=node.name,
        image="htcondor",
        settings=settings(node, facts, "central-manager"),
        role="central-manager",
        secrets=(*facts.certificate(manager), key, idtoken(node, facts, manager, "READ", "NEGOTIATOR", "DAEMON", "ADVERTISE_MASTER")),
        probe=probe,
    )
    access = Container(
        name=submitter,
        service=node.name,
        image="htcondor",
        settings=settings(node, facts, "access-point"),
        role="access-point",
        secrets=(
            *facts.certificate(submitter),
            key,
            idtoken(node, facts, submitter, "READ", "DAEMON", "ADVERTISE_SCHEDD", "ADVERTISE_MASTER"),
        ),
        mounts=(Mount(f"{node.name}-spool", "/srv/spool"),),
        needs=(manager,),
        probe=probe,
    )
    return (head, access, *(_worker(node, facts, number, probe) for number in range(1, node.properties["workers"] + 1)))


def check(node: Node, facility: Facility) -> list[Problem]:
    """Groups and issuers that no token can ever carry."""
    problems = [
        Problem(
            "pool.group",
            f"group {group!r} of allowed_groups does not start with a slash, so no token carries it",
            f"write the group as the WLCG profile does: '/{group}'",
            node.where,
            node.name,
        )
        for group in node.properties["allowed_groups"]
        if not group.startswith("/")
    ]
    problems += [
        Problem(
            "pool.issuer",
            f"trusted issuer {issuer!r} is not an https URL",
            "give the issuer as it stands in the tokens' iss claim, https://...",
            node.where,
            node.name,
        )
        for issuer in node.properties["trusted_issuers"]
        if not issuer.startswith("https://")
    ]
    return problems


def _worker(node: Node, facts: Facts, number: int, probe: Probe) -> Container:
    name = f"{node.name}-worker-{number}"
    retirement = float(node.properties["job_retirement_time"])
    return Container(
        name=name,
        service=node.name,
        image=job_containers.worker_image(node),
        settings=settings(node, facts, "execute-point"),
        role="execute-point",
        secrets=(SecretFile(CA, "ca.pem", "certificate"), idtoken(node, facts, name, "READ", "ADVERTISE_STARTD", "ADVERTISE_MASTER")),
        mounts=_software(node, facts),
        memory=node.properties["memory_per_worker"] + DAEMON_MEMORY,
        cpus=float(node.properties["cpus_per_worker"]),
        needs=(central_manager(node),),
        probe=probe,
        stop_grace=retirement + 2 * VACATE_TIME + 30.0,
    )


def _software(node: Node, facts: Facts) -> tuple[Mount, ...]:
    name = node.target("software")
    if name is None or not facts.facility.node(name).properties.get("enabled"):
        return ()
    return (Mount(facts.paths["cvmfs"], "/cvmfs", read_only=True, propagation="rslave"),)


def _job_environment(node: Node, facts: Facts) -> Mapping[str, str]:
    environment = {
        **XROOTD_CLIENT,
        "SSL_CERT_FILE": TRUST_BUNDLE,
        "REQUESTS_CA_BUNDLE": TRUST_BUNDLE,
        "AWS_CA_BUNDLE": TRUST_BUNDLE,
        "X509_CERT_DIR": TRUST_FOLDER,
    }
    cache = node.target("cache")
    if cache is not None:
        environment["CANTIERE_SITE_CACHE"] = xrootd.url(facts.facility.node(cache), facts)
    return environment


def _identity(container: str, facts: Facts) -> str:
    return f"{container}@{facts.domain}"


def _signing_key(node: Node) -> Secret:
    return Secret(f"{node.name}-signing-key")
