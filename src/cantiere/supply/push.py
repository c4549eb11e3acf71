"""Images of ours in a registry: which are there under their tags, and those that are missing sent from the container engine."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from cantiere.artifacts import catalogue
from cantiere.engine import Engine
from cantiere.errors import CantiereError, Problem
from cantiere.supply.store import Log

PATIENCE = 20
"""Seconds without an answer after which a registry is silent."""
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
CA_REMEDY = "set registry.ca of the site to a PEM file with the authority that signed the registry's certificate"
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry, and how we write to it.

    Parameters
    ----------
    prefix:
        Host, port and path before the names of images, as nodes and charts have them.
    user, password:
        Who may write; empty where everybody may.
    ca:
        File with the authority behind its certificate; None leaves the machine's own ones.
    door:
        The same where images are written; ``""`` where that is the same.
    """

    prefix: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    door: str = ""

    @property
    def target(self) -> str:
        """Where images are written."""
        return self.door or self.prefix

    def reference(self, name: str, tag: str) -> str:
        """The name under which an image is written."""
        return f"{self.target}/{name}:{tag}"


def missing(tags: Mapping[str, str], registry: Registry) -> tuple[str, ...]:
    """The images that a registry does not have under their tags.

    Parameters
    ----------
    tags:
        Image of ``artifacts.yaml`` to its tag.
    registry:
        Where they should be.

    Raises
    ------
    CantiereError
        It does not answer, or refuses the password.
    """
    return tuple(name for name, tag in tags.items() if not _has(registry, name, tag))


def push(names: Sequence[str], registry: Registry, engine: Engine, log: Log) -> None:
    """Send images of the container engine to a registry, each under its tag; the password goes by a file that only we can read.

    Parameters
    ----------
    names:
        Images of ``artifacts.yaml``.
    registry:
        Where they go.
    engine:
        Where they are.
    log:
        Takes the progress line by line.

    Raises
    ------
    CantiereError
        One could not be sent; says where to, and why.
    """
    for name in names:
        source = catalogue()[name].reference
        _send(name, source, registry.reference(name, source.rpartition(":")[2]), registry, engine, log)


def _send(name: str, source: str, target: str, registry: Registry, engine: Engine, log: Log) -> None:
    with tempfile.TemporaryDirectory(prefix="cantiere-push-") as scratch:
        folder = Path(scratch)
        (folder / "config.json").write_text(json.dumps(_accounts(registry)), encoding="utf-8")
        if engine.name == "podman":
            command = ["push", "--authfile", str(folder / "config.json"), "--compression-format", "zstd"]
            if registry.ca:
                (folder / "certificates").mkdir()
                (folder / "certificates" / "ca.crt").write_bytes(registry.ca.read_bytes())
                command += ["--cert-dir", str(folder / "certificates")]
            _stream(engine, [*command, source, f"docker://{target}"], name, target, log)
            return
        engine.run("tag", source, target)
        _stream(engine, ["--config", str(folder), "push", target], name, target, log)


def _accounts(registry: Registry) -> dict[str, dict[str, dict[str, str]]]:
    host = registry.target.partition("/")[0]
    return {"auths": {host: {"auth": _basic(registry)}} if registry.user else {}}


def _basic(registry: Registry) -> str:
    return base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()


def _stream(engine: Engine, command: list[str], name: str, target: str, log: Log) -> None:
    tail: list[str] = []
    with subprocess.Popen(
        [engine.name, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **engine.environment},
    ) as process:
        for line in process.stdout or ():
            tail = [*tail[-10:], line.rstrip()]
            log(f"{name}: {line.rstrip()}")
    if process.returncode:
        raise CantiereError(
            Problem(
                "registry.push",
                f"image {name} could not be sent to {target}: {' | '.join(tail[-4:])}",
                "check that the registry can be reached and takes the password, then run the same command again",
                path=name,
            )
        )


def _has(registry: Registry, name: str, tag: str) -> bool:
    host, _, path = registry.target.partition("/")
    repository = f"{path}/{name}".lstrip("/")
    address = f"https://{host}/v2/{repository}/manifests/{tag}"
    authorization = f"Basic {_basic(registry)}" if registry.user else ""
    status, challenge = _ask(registry, address, authorization)
    if status == 401 and challenge.lower().startswith("bearer"):
        status, _ = _ask(registry, address, f"Bearer {_token(registry, challenge, repository)}")
    if status == 200:
        return True
    if status == 404:
        return False
    remedy = "check the user and the password of the site's registry" if status in (401, 403) else "look at the registry's own log"
    raise CantiereError(Problem("registry.refused", f"the registry {host} answers {status} for {repository}:{tag}", remedy, path=host))


def _ask(registry: Registry, address: str, authorization: str) -> tuple[int, str]:
    headers = {"Accept": ", ".join(MANIFESTS)} | ({"Authorization": authorization} if authorization else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=headers, method="HEAD"), timeout=PATIENCE, context=_trust(registry)
        ) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate", "")
    except OSError as error:
        raise _silent(address, error) from error


def _token(registry: Registry, challenge: str, repository: str) -> str:
    """A token for reading a repository, from the server that the registry names."""
    parts = dict(CHALLENGE.findall(challenge))
    query = urlencode({"service": parts.get("service", ""), "scope": f"repository:{repository}:pull"})
    headers = {"Authorization": f"Basic {_basic(registry)}"} if registry.user else {}
    address = f"{parts.get('realm', '')}?{query}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=PATIENCE, context=_trust(registry)) as answer:
            given = json.load(answer)
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        raise _silent(address, error) from error
    return str(given.get("token") or given.get("access_token") or "")


def _trust(registry: Registry) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(registry.ca) if registry.ca else None)
    except OSError as error:
        message = f"the file with the registry's authority cannot be used: {error}"
        raise CantiereError(Problem("registry.ca", message, CA_REMEDY, path=str(registry.ca))) from error


def _silent(address: str, error: Exception) -> CantiereError:
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the registry's certificate is not trusted at {address}: {cause.verify_message}"
        return CantiereError(Problem("registry.untrusted", message, CA_REMEDY, path=address))
    return CantiereError(
        Problem(
            "registry.silent",
            f"the registry does not answer at {address}: {error}",
            "check that it runs and can be reached from here (cantiere status shows the machines), then run the same command again",
            path=address,
        )
    )
