#!/usr/bin/python3 -IS
"""HTCondor SciTokens mapping plugin: the account that a token stands for.

HTCondor has checked signature, validity and audience, and gives the token's claims as JSON on standard input. The identity
goes to standard output. Exit status 0: accepted; 2: refused, the reason is on standard error.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIRST_UID = 20000
PREFIX = "u_"


class Refused(Exception):
    """The token may be valid, but stands for nobody here."""


def identify(claims: Mapping[str, Any], issuers: list[str], allowed_groups: list[str]) -> tuple[str, str]:
    """The account's name, and a digest of issuer and subject that no other user has.

    Parameters
    ----------
    claims:
        The token's claims.
    issuers:
        Issuers whose users are let in; a slash at the end does not matter.
    allowed_groups:
        Groups of which the token must carry one; empty lets everybody in.

    Raises
    ------
    Refused
        Another issuer, no subject, or none of the groups.
    """
    issuer, subject = str(claims.get("iss", "")).rstrip("/"), str(claims.get("sub", ""))
    if issuer not in [known.rstrip("/") for known in issuers]:
        raise Refused(f"issuer {issuer!r} is not one of {issuers}")
    if not subject:
        raise Refused("the token has no subject")
    groups = claims.get("wlcg.groups", [])
    if allowed_groups and not (isinstance(groups, list) and set(allowed_groups).intersection(map(str, groups))):
        raise Refused(f"subject {subject!r} of {issuer} is in none of the groups {allowed_groups}")
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()
    return PREFIX + digest[:12], digest


def allocate(folder: Path, name: str, digest: str) -> int:
    """The user id of an account, made when it is asked for the first time and never given to another.

    Parameters
    ----------
    folder:
        Where ``passwd`` and ``group`` are kept in the format of libnss-extrausers.
    name, digest:
        What :func:`identify` found.

    Raises
    ------
    Refused
        Another user has the same account name.
    """
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        passwd = folder / "passwd"
        rows = [line.split(":") for line in passwd.read_text().splitlines()] if passwd.exists() else []
        for row in rows:
            if row[0] == name:
                if row[4] != digest:
                    raise Refused(f"account {name} belongs to another user")
                return int(row[2])
        uid = max((int(row[2]) + 1 for row in rows), default=FIRST_UID)
        rows.append([name, "x", str(uid), str(uid), digest, "/nonexistent", "/usr/sbin/nologin"])
        _replace(folder / "group", "".join(f"{row[0]}:x:{row[3]}:\n" for row in rows))
        _replace(passwd, "".join(":".join(row) + "\n" for row in rows))
        return uid


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o644)
    new.replace(path)


def main(configuration: Path) -> int:
    """Map the token whose claims come on standard input."""
    wanted = json.loads(configuration.read_text())
    try:
        name, digest = identify(json.load(sys.stdin), wanted["issuers"], wanted["allowed_groups"])
        if wanted["folder"]:
            allocate(Path(wanted["folder"]), name, digest)
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    print(f"{name}@{wanted['domain']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
