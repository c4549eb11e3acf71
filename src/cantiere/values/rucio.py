"""Rucio: server, daemons and web page, each by its own chart, over one database. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values import ingress, postgres
from cantiere.values.addons import broken, enabled, resources
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.parts import from_secret, image_problem, page

TYPE = "cantiere.nodes.Rucio"
DATABASE = "rucio"
CONNECTION = "RUCIO_CFG_DATABASE_DEFAULT"
KINDS = ("api", "auth")
DAEMONS = frozenset(
    "abacusAccount abacusCollectionReplica abacusRse automatix cacheConsumer conveyorTransferSubmitter conveyorPoller conveyorFinisher "
    "conveyorReceiver conveyorStager conveyorThrottler conveyorPreparer darkReaper hermesLegacy hermes judgeCleaner judgeEvaluator "
    "judgeInjector judgeRepairer oauthManager undertaker reaper replicaRecoverer transmogrifier tracerKronos minos "
    "minosTemporaryExpiration necromancer".split()
)
TRANSFERS = ("conveyorTransferSubmitter", "conveyorPoller")


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The database where it is made here, the servers, the daemons, the web page, and first of all the schema."""
    told, name = node.properties, node.name
    installed = enabled(node)
    own = told["database"] == "cloudnative-pg"
    connection = from_secret(CONNECTION, *((postgres.secret(node), "uri") if own else (name, "database-url")))
    found: list[Release] = []
    needs: tuple[str, ...] = ()
    if own and installed:
        found += [postgres.operator(node), postgres.cluster(node, context, DATABASE)]
        needs = (f"{name}-db",)
    files = [SecretFile(Secret(f"{name}-root-password"), "root-password")]
    if not own:
        files.append(SecretFile(Secret(f"{name}-database-url", str(told["database_url"])), "database-url"))
    secrets = (SecretObject(name, tuple(files)),)
    if told["init_image"]:
        objects = {"objects": {"schema": _schema(node, connection)}}
        found.append(
            Release(f"{name}-init", context.namespace, "objects", objects, name, needs=needs, installed=installed, secrets=secrets)
        )
        needs = (*needs, f"{name}-init")
    chosen = {"image": {"tag": told["image_tag"], "pullPolicy": "IfNotPresent"}} if told["image_tag"] else {}
    common: dict[str, Any] = {**chosen, "useDeprecatedImplicitSecrets": False, "additionalEnvs": [connection]}
    for kind in KINDS:
        values = common | _server(node, context, kind)
        after = (*needs, *ingress.needs(context.facility))
        found.append(
            Release(f"{name}-{kind}", context.namespace, "rucio-server", values, name, needs=after, installed=installed, secrets=secrets)
        )
    servers = tuple(f"{name}-{kind}" for kind in KINDS)
    daemons = common | _daemons(node)
    found.append(
        Release(f"{name}-daemons", context.namespace, "rucio-daemons", daemons, name, needs=servers, installed=installed, secrets=secrets)
    )
    page_installed = installed and told["web"]
    web = common | _web(node, context)
    found.append(Release(f"{name}-web", context.namespace, "rucio-ui", web, name, needs=servers, installed=page_installed, secrets=secrets))
    return tuple(found)


def _server(node: Node, context: Context, kind: str) -> dict[str, Any]:
    """A server that answers requests, or one that hands out tokens."""
    outside = page(context, f"{node.name}-{kind}")
    return {
        "replicaCount": node.properties["servers"],
        "serverType": kind,
        "exposeErrorLogs": False,
        "useSSL": False,
        "service": {"type": "ClusterIP", "port": 80},
        "serverResources": resources("100m", "512Mi", "2Gi"),
        "automaticRestart": {"enabled": 0},
        "ftsRenewal": {"enabled": 0},
        "config": _config(node),
        "ingress": _ingress(outside),
    }


def _daemons(node: Node) -> dict[str, Any]:
    counts = {f"{daemon}Count": node.properties["daemons"].get(daemon, 0) for daemon in sorted(DAEMONS)}
    config = _config(node)
    if servers := list(node.properties["transfer_servers"]):
        config["conveyor"] = {"ftshosts": ", ".join(servers), "transfertool": "fts3"}
    return {**counts, "config": config, "automaticRestart": {"enabled": 0}, "ftsRenewal": {"enabled": 0}}


def _web(node: Node, context: Context) -> dict[str, Any]:
    outside = page(context, node.name)
    return {
        "replicaCount": 1,
        "exposeErrorLogs": False,
        "proxy": {
            "rucioProxy": page(context, f"{node.name}-api")["host"],
            "rucioProxyScheme": "https",
            "rucioAuthProxy": page(context, f"{node.name}-auth")["host"],
            "rucioAuthProxyScheme": "https",
        },
        "service": {"type": "ClusterIP", "port": 80, "allocateLoadBalancerNodePorts": False},
        "httpd_config": {"rucio_hostname": outside["host"]},
        "config": _config(node),
        "ingress": _ingress(outside),
        "resources": resources("50m", "256Mi", "1Gi"),
    }


def _config(node: Node) -> dict[str, Any]:
    """Rucio's configuration but for the database's URL, which comes from the environment."""
    return {
        "common": {"loglevel": "INFO"},
        "database": {"pool_recycle": "600"},
        "policy": {"permission": "generic", "schema": "generic"},
    }


def _ingress(outside: dict[str, Any]) -> dict[str, Any]:
    return {
        "enabled": True,
        "ingressClassName": outside["className"],
        "annotations": outside["annotations"],
        "path": "/",
        "hosts": [outside["host"]],
        "tls": [{"secretName": outside["secret"], "hosts": [outside["host"]]}],
    }


def _schema(node: Node, connection: dict[str, Any]) -> dict[str, Any]:
    """The job that makes the schema and the account root."""
    environment = [
        connection,
        {"name": "RUCIO_CFG_BOOTSTRAP_USERPASS_IDENTITY", "value": "root"},
        from_secret("RUCIO_CFG_BOOTSTRAP_USERPASS_PWD", node.name, "root-password"),
    ]
    container = {
        "name": "schema",
        "image": node.properties["init_image"],
        "env": environment,
        "resources": resources("50m", "256Mi", "512Mi"),
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    pod = {"restartPolicy": "OnFailure", "automountServiceAccountToken": False, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{node.name}-init"},
        "spec": {"backoffLimit": 10, "template": {"spec": pod}},
    }


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a Rucio."""
    told = node.properties
    unknown = sorted(set(told["daemons"]) - DAEMONS)
    outside = told["database"] == "external"
    rules = (
        ("daemons", bool(unknown), f"Rucio's chart has no daemon {', '.join(unknown)}", f"use some of: {', '.join(sorted(DAEMONS))}"),
        (
            "database_url",
            outside and not told["database_url"],
            "its database is outside, and nothing says where",
            "set database_url to a reference to its URL, or database: cloudnative-pg",
        ),
        (
            "database",
            not outside and bool(told["database_url"]),
            "database_url counts for an outside database only",
            "set database: external, or remove database_url",
        ),
        (
            "transfer_servers",
            any(told["daemons"].get(daemon) for daemon in TRANSFERS) and not told["transfer_servers"],
            "its daemons submit transfers, and there is no server that moves data",
            "list FTS servers in transfer_servers, or set conveyorTransferSubmitter and conveyorPoller to 0",
        ),
    )
    found = broken("rucio", node, rules)
    picture = image_problem(node, "init_image")
    return [*found, *([picture] if picture else [])] if enabled(node) else []
