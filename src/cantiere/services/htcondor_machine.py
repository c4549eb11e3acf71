"""HTCondor on a machine of its own: which variables the pool's templates get, and what stands on the machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cantiere.services import htcondor
from cantiere.tosca.scalars import scalar

ROLES = ("central-manager", "access-point", "execute-point")
LOCAL = "$(LOCAL_ADMINISTRATORS)"
"""The machine's own daemons, which know each other by the file system."""

RESERVED_MEMORY = 1 << 30
"""Bytes left to the system and to HTCondor's own daemons where no memory is named."""

LEAST_MEMORY = 256 << 20
CONFIGURATION = "/etc/condor/config.d/10-facility.conf"
FOREIGN = "/etc/condor/config.d/00-htcondor-9.0.config"
"""The package's own settings; the pool's come in their place, as in the image."""

DROP_IN = "/etc/systemd/system/condor.service.d/cantiere.conf"
LIBEXEC = "/usr/libexec/cantiere"
PROGRAMS = ("clean-slot", "credmon.py", "job-wrapper", "probe", "scitokens-account.py")
BUNDLES = {"Debian": htcondor.TRUST_BUNDLE, "RedHat": "/etc/pki/tls/certs/ca-bundle.crt"}
"""The system's trusted certificates in one file, by family; the configuration names Debian's."""

CERTIFICATES = {"Debian": "/etc/ssl/certs", "RedHat": "/etc/pki/ca-trust/extracted/pem/directory-hash"}
"""The same in a folder with names by hash."""

SECRETS = {
    "idtoken": "/etc/condor/tokens.d/idtoken",
    "signing_key": "/etc/condor/passwords.d/signing-key",
    "certificate": "/etc/condor/host/hostcert.pem",
    "certificate_key": "/etc/condor/host/hostkey.pem",
}
"""Secret to the file on the machine; each is readable by root alone."""


def fqdn(name: str, domain: str) -> str:
    """The full host name of a machine: its name and the pool's domain, or the name itself where it has a dot."""
    return name if "." in name else f"{name}.{domain}"


def size(text: str) -> int:
    """Bytes of a size such as ``2 GiB``; 0 where it is none."""
    return int(scalar("scalar-unit.size", text) or 0)


def pool(given: Mapping[str, Any], facts: Mapping[str, Any]) -> htcondor.Pool:
    """The pool as the role's variables describe it.

    Parameters
    ----------
    given:
        The role's variables without their prefix.
    facts:
        What ``cantiere_facts`` says of the machine.
    """
    domain = str(given["domain"])
    here = set(given["roles"])

    def who(role: str, names: Sequence[str]) -> str:
        identities = [f"{name}@{domain}" for name in names]
        return ", ".join([LOCAL, *identities] if role in here else identities)

    access_points = list(given["access_points"])
    schedd = fqdn(given["name"] if "access-point" in here else (access_points or [given["name"]])[0], domain)
    return htcondor.Pool(
        domain=domain,
        collector=fqdn(given["collector"], domain),
        schedd_name=schedd,
        audience=given["audience"] or f"https://{schedd}",
        issuers=tuple(issuer.rstrip("/") for issuer in given["issuers"]),
        allowed_groups=tuple(given["allowed_groups"]),
        identities={
            "central_manager": who("central-manager", [given["collector"]]),
            "access_point": who("access-point", access_points),
            "workers": who("execute-point", given["workers"]),
            "users": f"{htcondor.USER_ACCOUNTS}@{domain}",
        },
        readers=tuple(f"{name}@{domain}" for name in given["readers"]),
        cpus=int(given["cpus"]) or int(facts["cpus"]),
        memory=size(given["memory"]) or max(int(facts["memory"]) - RESERVED_MEMORY, LEAST_MEMORY),
        retirement_time=float(given["retirement_time"]),
        job_environment=htcondor.XROOTD_CLIENT | {"X509_CERT_DIR": CERTIFICATES[facts["os_family"]]} | dict(given["job_environment"]),
        cgroups=not facts["container"],
        job_containers=bool(given["job_containers"]),
    )


def settings(given: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of the templates: the pool's, and for the unit ``stop_signal`` and ``stop_timeout`` (seconds).

    Parameters
    ----------
    given, facts:
        See :func:`pool`.
    """
    roles = ordered(given["roles"])
    # an access point ends at once: its running jobs go on and find it again; the others end in order
    waiting = round(float(given["retirement_time"])) if "execute-point" in roles else 0
    unit = {
        "stop_signal": "SIGQUIT" if roles == ["access-point"] else "SIGTERM",
        "stop_timeout": waiting + 2 * htcondor.VACATE_TIME + 60,
        "restarts_in": 10,
    }
    return htcondor.variables(pool(given, facts), *roles) | unit


def ordered(roles: Sequence[str]) -> list[str]:
    """The roles in the order of the configuration."""
    return [role for role in ROLES if role in roles]


def packages(given: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> list[str]:
    """The packages of a machine.

    Parameters
    ----------
    given:
        The role's variables without their prefix.
    names:
        What every machine needs under ``common``, and beside it what single roles need.
    """
    return sorted({name for part in ("common", *ordered(given["roles"])) for name in names.get(part, ())})


def manifest(given: Mapping[str, Any], facts: Mapping[str, Any], texts: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Any]:
    """What stands on the machine, as ``cantiere_manifest`` takes it.

    Parameters
    ----------
    given, facts:
        See :func:`pool`.
    texts:
        Path to text: the rendered templates, and the programs below :data:`LIBEXEC`.
    secrets:
        Values of :data:`SECRETS`; empty ones are not wanted on this machine.

    Returns
    -------
    dict
        ``users``, ``directories``, ``files``, ``links``, ``absent`` and ``units``.
    """
    roles = ordered(given["roles"])
    files: list[dict[str, Any]] = [
        {"path": path, "content": text, "mode": "0755" if path.startswith(LIBEXEC) else "0644"} for path, text in texts.items()
    ]
    held = [{"path": SECRETS[name], "content": value, "mode": "0600", "secret": True} for name, value in secrets.items() if value]
    folders = [_folder(path, "0700") for path in sorted({str(item["path"]).rpartition("/")[0] for item in held})]
    users: list[dict[str, Any]] = []
    if "execute-point" in roles:
        folders += [_folder("/srv/execute", "0755", "condor", "condor")]
        users = [
            {"name": f"cslot{number}", "system": True, "home": "/nonexistent", "shell": "/usr/sbin/nologin"}
            for number in range(1, settings(given, facts)["slot_accounts"] + 1)
        ]
    if "access-point" in roles:
        folders += [_folder(path, "0755", "condor", "condor") for path in ("/srv/spool", "/srv/spool/queue", "/srv/spool/accounts")]
        folders += [_folder("/srv/spool/credentials", "2770", "root", "condor")]
    watched = [str(item["path"]) for item in (*files, *held) if str(item["path"]).startswith(("/etc/condor/", "/etc/systemd/"))]
    return {
        "users": users,
        "directories": folders,
        "files": [*files, *held],
        "links": [] if facts["os_family"] == "Debian" else [{"path": htcondor.TRUST_BUNDLE, "target": BUNDLES[facts["os_family"]]}],
        "absent": [FOREIGN],
        "units": [{"name": "condor.service", "restart_on": watched}],
    }


def refusals(given: Mapping[str, Any], secrets: Mapping[str, str], family: str) -> list[str]:
    """What is wrong between the role's variables; every entry says the remedy.

    Parameters
    ----------
    given, secrets:
        See :func:`manifest`.
    family:
        ``Debian`` or ``RedHat``.
    """
    roles = set(given["roles"])
    found = []
    if strange := sorted(roles - set(ROLES)) or not roles:
        found.append(f"htcondor_machine_roles: {strange or 'empty'}; name one or more of {', '.join(ROLES)}")
    serving = roles & {"central-manager", "access-point"}
    if serving:
        if not given["issuers"]:
            found.append("htcondor_machine_issuers is empty: name the issuers of the users' tokens")
        found += [f"htcondor_machine_issuers: {one!r} is no https URL" for one in given["issuers"] if not one.startswith("https://")]
        wrong = [group for group in given["allowed_groups"] if not group.startswith("/")]
        found += [f"htcondor_machine_allowed_groups: no token carries {one!r}; begin it with a slash" for one in wrong]
        lacking = [name for name in ("certificate", "certificate_key") if not secrets.get(name)]
        found += [f"htcondor_machine_{name}_file is needed by {' and '.join(sorted(serving))}" for name in lacking]
    if "central-manager" in roles and not secrets.get("signing_key"):
        found.append("htcondor_machine_signing_key_file is needed by the central manager: tokens of the pool are checked with it")
    if given["collector"] != given["name"] and not secrets.get("idtoken"):
        found.append("htcondor_machine_idtoken_file is needed: by its IDTOKEN this machine is known to the central manager")
    if given["collector"] == given["name"] and "central-manager" not in roles:
        found.append("htcondor_machine_collector: name the central manager, this machine is none")
    users = [one for one in (*given["workers"], *given["access_points"]) if one.startswith(("u_", "*"))]
    found += [f"{one!r} among the machines' names would let users' accounts (u_...) in; write a longer pattern" for one in users]
    if given["memory"] and not size(given["memory"]):
        found.append(f"htcondor_machine_memory: {given['memory']!r} is no size; write it as '2 GiB'")
    if "access-point" in roles and family != "Debian":
        found.append("an access point keeps users' accounts by libnss-extrausers, which is packaged for Debian and Ubuntu only")
    return found


def _folder(path: str, mode: str, owner: str = "root", group: str = "root") -> dict[str, str]:
    return {"path": path, "mode": mode, "owner": owner, "group": group}
