"""Attempts to get out of the hub's container through the socket it was given: run inside that container with its system Python.

Arguments: the socket's path, a user whose notebook runs, a JSON list of other containers' names. Prints JSON with the HTTP status
and text of a good request (``control``) and of each attempt.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from typing import Any

API = "/v1.41"
TIMEOUT = 20.0


class Engine(http.client.HTTPConnection):
    """A connection to an engine's interface over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.path)


def call(path: str, method: str, url: str, body: Any = None) -> tuple[int, str]:
    """Make one call, and give its HTTP status and what it says; 599 where the connection was cut."""
    engine = Engine(path)
    try:
        engine.request(method, API + url, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = engine.getresponse()
        return answer.status, answer.read().decode(errors="replace")[:300]
    except (OSError, http.client.HTTPException) as error:
        return 599, str(error)
    finally:
        engine.close()


def notebook(wanted: dict[str, Any], user: str) -> dict[str, Any]:
    """The one shape of container that the hub may ask for, for a user."""
    volume = f"{wanted['prefix']}-home-{user}:{wanted['home']}:rw"
    return {
        "Image": wanted["images"][0],
        "User": wanted["user"],
        "Cmd": ["true"],
        "Labels": {"cantiere.facility": wanted["prefix"], "cantiere.notebook": user},
        "HostConfig": {
            "NetworkMode": wanted["network"],
            "Binds": [volume, *([f"{wanted['cvmfs']}:/cvmfs:ro,rslave"] if wanted["cvmfs"] else [])],
            "Memory": 1 << 29,
            "CpuPeriod": 100000,
            "CpuQuota": 100000,
            "PidsLimit": 100,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }


def escapes(good: dict[str, Any], other: str) -> dict[str, dict[str, Any]]:
    """The same container, each time with one thing that would lead out of it."""
    host = good["HostConfig"]

    def with_host(**settings: Any) -> dict[str, Any]:
        return {**good, "HostConfig": {**host, **settings}}

    return {
        "mount the machine's root": with_host(Binds=[*host["Binds"], "/:/host"]),
        "mount it by another field": with_host(Mounts=[{"Type": "bind", "Source": "/", "Target": "/host"}]),
        "mount another user's home": with_host(Binds=[host["Binds"][0].replace("-home-", "-home-other-")]),
        "a service's volume": with_host(VolumesFrom=[other]),
        "privileges": with_host(Privileged=True),
        "capabilities": with_host(CapAdd=["SYS_ADMIN"]),
        "no seccomp": with_host(SecurityOpt=["seccomp=unconfined"]),
        "a device": with_host(Devices=[{"PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem", "CgroupPermissions": "rwm"}]),
        "the machine's network": with_host(NetworkMode="host"),
        "the machine's processes": with_host(PidMode="host"),
        "root inside": {**good, "User": "0"},
        "a service's image": {**good, "Image": good["Image"].replace("analysis", "iam")},
    }


def main() -> None:
    """Try everything, and print what came of it."""
    path, user, others = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    wanted = json.loads(os.environ["CANTIERE_SETTINGS"])["notebooks"]
    good, name = notebook(wanted, user), f"{wanted['prefix']}-jupyter-{user}"
    # the user's notebook runs, so the engine itself says that the name is in use: a good request got through to it
    outcome: dict[str, Any] = {"control": call(path, "POST", f"/containers/create?name={name}", good), "attempts": {}}
    attempts = outcome["attempts"]
    for what, body in escapes(good, others[0]).items():
        attempts[what] = call(path, "POST", f"/containers/create?name={name}", body)
    attempts["another name"] = call(path, "POST", f"/containers/create?name={wanted['prefix']}-escape", good)
    for other in others:
        attempts[f"look at {other}"] = call(path, "GET", f"/containers/{other}/json")
        attempts[f"stop {other}"] = call(path, "POST", f"/containers/{other}/stop", {})
        attempts[f"command in {other}"] = call(path, "POST", f"/containers/{other}/exec", {"Cmd": ["true"]})
        attempts[f"files of {other}"] = call(path, "GET", f"/containers/{other}/archive?path=/run/secrets")
    attempts["command in the notebook as root"] = call(path, "POST", f"/containers/{name}/exec", {"Cmd": ["true"], "User": "0"})
    attempts["list containers"] = call(path, "GET", "/containers/json")
    attempts["list volumes"] = call(path, "GET", "/volumes")
    attempts["build an image"] = call(path, "POST", "/build", {})
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
