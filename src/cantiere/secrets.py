"""The site's store of generated secrets, and the files that show them to containers."""

from __future__ import annotations

import json
import os
import secrets as randomness
import shutil
import string
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from cantiere import pki
from cantiere.errors import CantiereError, Problem
from cantiere.idtoken import mint
from cantiere.model import Container, Secret, SecretFile
from cantiere.state import write_atomic

Parts = dict[str, str]
ALPHABET, PASSWORD_LENGTH = string.ascii_letters + string.digits, 32


class Holder(Protocol):
    """Something that is shown secrets as files: a container, or a service of a machine."""

    @property
    def name(self) -> str:
        """Its name, unique on the site."""

    @property
    def secrets(self) -> tuple[SecretFile, ...]:
        """The files."""


class SecretStore:
    """Generated secrets of one site, in an Ansible Vault file of mode 0600; its key is in a file beside it.

    Parameters
    ----------
    folder:
        The site's state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "secrets.vault.yml"
        self.key_file = folder / "vault.key"
        self._values: dict[str, Parts] | None = None
        self._unsaved = False

    def value(self, secret: Secret, part: str = "value") -> str:
        """The value of a secret, generated where it does not exist yet (and kept by :meth:`keep`).

        Parameters
        ----------
        secret:
            Which one.
        part:
            ``value``; of a CA or certificate ``certificate`` or ``key``.

        Raises
        ------
        CantiereError
            Its source cannot be read, or is unknown.
        """
        kind, _, rest = secret.source.partition(":")
        if kind in ("env", "file"):
            return self._external(secret, kind, rest)
        name = rest if kind == "vault" else secret.name
        if name not in self._all():
            if kind != "generate" or rest not in GENERATORS:
                raise self._missing(secret, f"the store has no secret {name!r}")
            self._all()[name] = GENERATORS[rest](self, secret)
            self._unsaved = True
        return self._all()[name][part]

    def names(self) -> list[str]:
        """Names of all secrets that the store holds."""
        return sorted(self._all())

    def show(self, name: str) -> Parts:
        """All parts of a kept secret.

        Raises
        ------
        CantiereError
            There is none of that name.
        """
        if name not in self._all():
            raise CantiereError(
                Problem(
                    "secret.unknown", f"there is no secret {name!r}", f"use one of: {', '.join(self.names()) or '(none yet)'}", path=name
                )
            )
        return self._all()[name]

    def materialise(self, containers: Iterable[Holder]) -> None:
        """Write the secret files of containers, readable by root alone; what is generated for them is kept first."""
        values = {(c.name, item.file): self.value(item.secret, item.part) for c in containers for item in c.secrets}
        self.keep()
        for (container, file), value in values.items():
            write_atomic(self.files_of(container) / file, value, 0o400)

    def keep(self) -> None:
        """Keep what was generated since the last time; nothing is written where nothing was."""
        if self._unsaved:
            write_atomic(self.file, self._vault().encrypt(json.dumps(self._all())).decode())
            self._unsaved = False

    def complete(self, container: Container) -> bool:
        """Whether all secret files of a container are there."""
        folder = self.files_of(container.name)
        return all((folder / item.file).is_file() for item in container.secrets)

    def files_of(self, container: str) -> Path:
        """Folder of a container's secret files."""
        return self.folder / "secrets" / container

    def forget_files(self, container: str) -> None:
        """Remove the secret files of a container."""
        shutil.rmtree(self.files_of(container), ignore_errors=True)

    def _external(self, secret: Secret, kind: str, rest: str) -> str:
        if kind == "env":
            if rest not in os.environ:
                raise self._missing(secret, f"the environment has no variable {rest}")
            return os.environ[rest]
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise self._missing(secret, f"its file cannot be read: {error}") from error

    @staticmethod
    def _missing(secret: Secret, why: str) -> CantiereError:
        return CantiereError(
            Problem(
                "secret.missing",
                f"secret {secret.name} ({secret.source}): {why}",
                "provide it where the reference points",
                path=secret.name,
            )
        )

    def _all(self) -> dict[str, Parts]:
        if self._values is None:
            self._values = json.loads(self._vault().decrypt(self.file.read_bytes())) if self.file.is_file() else {}
        return self._values

    def _vault(self) -> Any:
        from ansible.parsing.vault import VaultLib, VaultSecret

        if not self.key_file.is_file():
            write_atomic(self.key_file, randomness.token_urlsafe(48))
        return VaultLib([("default", VaultSecret(self.key_file.read_bytes()))])


def _password(_store: SecretStore, _secret: Secret) -> Parts:
    """Letters and digits alone: charts of others hand passwords to programs as arguments, where one that begins with ``-`` is a flag."""
    return {"value": "".join(randomness.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))}


def _rsa_key(_store: SecretStore, _secret: Secret) -> Parts:
    return {"value": pki.rsa_key()}


def _ca(_store: SecretStore, secret: Secret) -> Parts:
    certificate, key = pki.authority(secret.parameters.get("common_name", "cantiere facility CA"))
    return {"certificate": certificate, "key": key}


def _certificate(store: SecretStore, secret: Secret) -> Parts:
    from cantiere.services.facts import CA

    names = [name for name in secret.parameters["names"].split(",") if name]
    certificate, key = pki.certificate(store.value(CA, "certificate"), store.value(CA, "key"), secret.parameters["common_name"], names)
    return {"certificate": certificate, "key": key}


def _idtoken(store: SecretStore, secret: Secret) -> Parts:
    wanted = secret.parameters
    key = store.value(Secret(wanted["key"]))
    return {"value": mint(key.encode(), wanted["kid"], wanted["issuer"], wanted["identity"], wanted.get("scope", ""))}


GENERATORS: Mapping[str, Callable[[SecretStore, Secret], Parts]] = {
    "password": _password,
    "rsa-key": _rsa_key,
    "ca": _ca,
    "certificate": _certificate,
    "idtoken": _idtoken,
}
