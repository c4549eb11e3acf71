"""XRootD on a machine of its own: which variables the templates get, and what stands on the machine. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cantiere.services import xrootd
from cantiere.services.htcondor_machine import fqdn, size

ROLES = ("origin", "cache", "redirector")
SIZES = ("memory", "block_size", "low_watermark", "high_watermark")
CLUSTER_PORT = 1213
"""Where members find their redirector (cmsd)."""

INSTANCE = "cantiere"
SERVER = f"xrootd@{INSTANCE}.service"
CLUSTER = f"cmsd@{INSTANCE}.service"
RENEWAL = "cantiere-xrootd-proxy.timer"
LIBEXEC = "/usr/libexec/cantiere"
AUTHORITIES = "/etc/grid-security/certificates"
HOST = "/etc/grid-security/xrootd"
STORAGE = ("/srv/xrootd", "/srv/xrootd/data", "/srv/xrootd/keys")
PROGRAMS = {"probe": "xrootd-probe", "renew-proxy": "renew-proxy"}
"""Programs of the image, and their names on the machine."""

PLACEHOLDER = "@SERVICE@"
"""What the templates write for the name that certificates of caches map to."""


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of the templates of ``images/xrootd`` and of the role's units.

    Parameters
    ----------
    given:
        The role's variables without their prefix.
    """
    domain, role = str(given["domain"]), given["role"]
    own = fqdn(given["name"], domain)
    manager = own if role == "redirector" else given["manager"] and fqdn(given["manager"], domain)
    # a token that was made for the redirector is good for the members that it sends clients to
    hosts = dict.fromkeys(host for host in (own, manager) if host)
    told: dict[str, Any] = {
        "namespace": given["namespace"],
        "issuers": [issuer.rstrip("/") for issuer in given["issuers"]],
        "audiences": [*(f"https://{host}" for host in hosts), xrootd.ANY_AUDIENCE],
        "clients": [name if name.startswith("/") else f"/O=cantiere/CN={fqdn(name, domain)}" for name in given["clients"]],
        "manager": manager,
        "cluster_port": CLUSTER_PORT,
    }
    if role == "redirector":
        told |= {"members": [fqdn(name, domain) for name in given["members"]]}
    if role == "cache":
        told |= {name: size(given[name]) for name in SIZES}
        told |= {"prefetch": int(given["prefetch"]), "source": f"{fqdn(given['source'], domain)}:{xrootd.ROOT_PORT}"}
    return told


def packages(given: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> list[str]:
    """The packages of a machine.

    Parameters
    ----------
    given:
        The role's variables without their prefix.
    names:
        What every machine needs under ``common``, and beside it what single roles need.
    """
    return sorted({*names["common"], *names.get(given["role"], ())})


def manifest(
    given: Mapping[str, Any], texts: Mapping[str, str], secrets: Mapping[str, str], authority: str, observed: Sequence[str]
) -> dict[str, Any]:
    """What stands on the machine, as ``cantiere_manifest`` takes it.

    Parameters
    ----------
    given:
        The role's variables without their prefix.
    texts:
        Path to text: the rendered templates, and the programs below :data:`LIBEXEC`.
    secrets:
        ``ca``, ``certificate`` and ``certificate_key``.
    authority:
        Hash of the CA's name, by which OpenSSL looks for it.
    observed:
        Files made on the machine that the server loads.

    Returns
    -------
    dict
        ``directories``, ``files``, ``links``, ``observed`` and ``units``.
    """
    # no issuer can give a user's token the name that service certificates map to: it follows from the host's private key
    name = "service-" + hashlib.sha256(b"xrootd service\0" + secrets["certificate_key"].encode()).hexdigest()[:32]
    files: list[dict[str, Any]] = []
    for path, text in texts.items():
        if PLACEHOLDER in text:
            held = {"mode": "0640", "group": "xrootd", "secret": True}
            files.append({"path": path, "content": text.replace(PLACEHOLDER, name)} | held)
        else:
            files.append({"path": path, "content": text, "mode": "0755" if path.startswith(LIBEXEC) else "0644"})
    files.append({"path": f"{AUTHORITIES}/facility.pem", "content": secrets["ca"], "mode": "0444"})
    keys = {"hostcert.pem": secrets["certificate"], "hostkey.pem": secrets["certificate_key"]}
    files += [
        {"path": f"{HOST}/{file}", "content": text, "mode": "0400", "owner": "xrootd", "group": "xrootd", "secret": True}
        for file, text in keys.items()
    ]
    watched = [str(item["path"]) for item in files if not str(item["path"]).startswith(LIBEXEC)]
    units: list[dict[str, Any]] = [{"name": SERVER, "restart_on": [*watched, *observed]}]
    if given["role"] == "redirector" or given["manager"]:
        units.append({"name": CLUSTER, "restart_on": [path for path in watched if "/xrootd/xrootd.cfg" in path]})
    if given["role"] == "cache":
        units.append({"name": RENEWAL, "restart_on": [path for path in watched if path.endswith(".timer")]})
    return {
        "directories": [
            *({"path": path, "mode": "0755", "owner": "xrootd", "group": "xrootd"} for path in STORAGE),
            {"path": HOST, "mode": "0500", "owner": "xrootd", "group": "xrootd"},
        ],
        "files": files,
        "links": [
            {"path": f"/etc/xrootd/xrootd-{INSTANCE}.cfg", "target": "xrootd.cfg"},
            {"path": f"{AUTHORITIES}/{authority}.0", "target": "facility.pem"},
        ],
        "observed": list(observed),
        "units": units,
    }


def refusals(given: Mapping[str, Any], secrets: Mapping[str, str]) -> list[str]:
    """What is wrong between the role's variables; every entry says the remedy.

    Parameters
    ----------
    given, secrets:
        See :func:`manifest`.
    """
    role = given["role"]
    found = [f"xrootd_machine_{name}_file is empty: every server needs it" for name in secrets if not secrets[name]]
    if not given["issuers"]:
        found.append("xrootd_machine_issuers is empty: name the issuers of the users' tokens")
    found += [f"xrootd_machine_issuers: {one!r} is no https URL" for one in given["issuers"] if not one.startswith("https://")]
    if role == "redirector" and not given["members"]:
        found.append("xrootd_machine_members is empty: name the servers that the redirector sends clients to")
    if role == "redirector" and given["manager"]:
        found.append("xrootd_machine_manager is for members; a redirector has none above it")
    if role == "cache":
        if not given["source"]:
            found.append("xrootd_machine_source is empty: name the server that the cache asks")
        wrong = [name for name in SIZES if not size(given[name])]
        found += [f"xrootd_machine_{name}: {given[name]!r} is no size; write it as '8 GB'" for name in wrong]
        trouble = None if wrong else xrootd.watermarks(*(size(given[name]) for name in ("low_watermark", "high_watermark", "block_size")))
        found += [f"{trouble[0]}: {trouble[1]}"] if trouble else []
    return found
