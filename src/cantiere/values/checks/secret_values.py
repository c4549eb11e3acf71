"""Nothing secret stands in values, and every Secret that they name is made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.values.checks.subject import Manifest, Path, Subject, dotted, leaves, mapping, metadata, namespace, nested
from cantiere.values.model import Release

WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")
SECRET_ENDS = frozenset("password passwd passphrase pwd token secret credential credentials apikey".split())
SECRET_KEYS = frozenset("secret private access api signing encryption crypt auth".split())
"""What before the word ``key`` makes it a secret one."""

REFERENCES = frozenset("existing name ref external from".split())
"""Words that make a key one that names a Secret."""

LOOKS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"), "a token"),
    (re.compile(r"\w+://[^\s/:@]+:[^\s/@]+@"), "an address with a password"),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an access key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"), "a token"),
)
NO_LITERAL = re.compile(
    r"ref\+\w+://\S+|/[\w./-]*|\$[({]?\w+[)}]?|https?://[^\s@]*|[\d.]+|in-the-mounted-secret"
    r"|(?i:true|false|none|default|optional|required|disabled|enabled|bearer)"
)
"""Texts under such keys that are no secrets: helmfile's references, paths, variables, addresses, numbers, words of settings, and what
stands where a chart insists on a text although a Secret is mounted."""


def check(subject: Subject) -> list[Problem]:
    """Values that are or look like secrets, and ``existingSecret`` naming one that nobody makes."""
    problems = []
    made = {(release.namespace, secret.name) for release in subject.releases for secret in release.secrets}
    made |= {(namespace(manifest, release), name) for release in subject.releases for name, manifest in _of_manifests(subject, release)}
    names = {name for _, name in made} | {file.file for release in subject.releases for secret in release.secrets for file in secret.files}
    for release in subject.releases:
        for path, what in found(release.values, frozenset(names)):
            message = f"{release.name}: {dotted(path)} holds {what}"
            remedy = "put it into a Secret of the release (SecretObject), and name that in the values (existingSecret)"
            problems.append(subject.value_problem(release, "values.secret", path, message, remedy))
        for path, leaf in leaves(release.values):
            named = path and path[-1] == "existingSecret" and isinstance(leaf, str) and leaf
            if named and (release.namespace, leaf) not in made:
                message = f"{release.name}: {dotted(path)} names Secret {leaf}, which nothing makes in namespace {release.namespace}"
                remedy = f"add SecretObject({leaf!r}, ...) to the release's secrets"
                problems.append(subject.value_problem(release, "secret.missing", path, message, remedy))
    return problems


def _of_manifests(subject: Subject, release: Release) -> Iterator[tuple[str, Manifest]]:
    """Names of Secrets that a release's objects make: themselves, or through the operator that reads them."""
    for _, manifest in subject.manifests(release):
        group, name = str(manifest.get("apiVersion", "")).partition("/")[0], str(metadata(manifest).get("name", ""))
        match (group, manifest.get("kind")):
            case ("v1", "Secret"):
                yield name, manifest
            case ("cert-manager.io", "Certificate"):
                yield str(mapping(manifest, "spec").get("secretName", "")), manifest
            case ("postgresql.cnpg.io", "Cluster"):
                yield from ((f"{name}-{ending}", manifest) for ending in ("app", "superuser"))


def found(values: Mapping[str, Any], names: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Places of values that hold a secret, with what it looks like.

    Parameters
    ----------
    names:
        Names of Secrets and of their keys: these are no secrets.
    """
    for path, leaf in leaves(values):
        if not isinstance(leaf, str) or not leaf:
            continue
        look = next((what for pattern, what in LOOKS if pattern.search(leaf)), None)
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        if look:
            yield path, look
        elif secret_key(key) and leaf not in names and not NO_LITERAL.fullmatch(leaf):
            yield path, "what its key calls a secret"
    for path, item in nested(values):
        name, value = item.get("name"), item.get("value")
        if not (isinstance(name, str) and isinstance(value, str) and secret_key(name)):
            continue
        if value and value not in names and not NO_LITERAL.fullmatch(value):
            yield (*path, "value"), f"what its name {name} calls a secret"


def secret_key(key: str) -> bool:
    """Whether a key says that its value is secret: ``adminPassword``, ``AWS_SECRET_ACCESS_KEY``; not ``existingSecret``."""
    words = [word.lower() for word in WORD.findall(key)]
    if not words or REFERENCES & set(words):
        return False
    if words[-1] == "key":
        return len(words) > 1 and words[-2] in SECRET_KEYS
    if words[-1] == "secret" and len(words) > 1 and words[-2] in ("tls", "pull", "password", "token", "config", "certificate"):
        return False  # these name a Secret
    return words[-1] in SECRET_ENDS
