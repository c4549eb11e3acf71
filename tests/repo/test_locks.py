"""The locks hold what pyproject.toml pins, with hashes, and the launcher's locks contain each other."""

from __future__ import annotations

import re
import tomllib

import pytest

from support.tree import REPOSITORY, load

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([^\s;]+)(?:; .+)?")


def pins(requirements: list[str]) -> dict[str, str]:
    """Name and version of requirements, each of which must be pinned exactly."""
    matches = {text: PINNED.fullmatch(text) for text in requirements}
    loose = [text for text, match in matches.items() if not match]
    assert not loose, f"pyproject.toml: pin these exactly (name==version): {loose}"
    return {match[1].lower(): match[2] for match in matches.values() if match}


def lock(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """A lock's packages with version and hashes."""
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", block)
        assert match, f"requirements/{name}.txt: not a pin: {block[:60]!r}"
        entries[f"{match[1].lower()} {match[2]}"] = (match[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)))
    return entries


@pytest.mark.parametrize(("name", "wanted"), [("runtime", PROJECT["dependencies"]), ("dev", PROJECT["optional-dependencies"]["dev"])])
def test_lock_is_in_step(name: str, wanted: list[str]) -> None:
    """Every pin of pyproject.toml stands in the lock, and everything in the lock has its hashes."""
    locked = lock(name)
    behind = [f"{package}=={version}" for package, version in pins(wanted).items() if f"{package} {version}" not in locked]
    assert not behind, f"requirements/{name}.txt lacks {behind}; remake it as STYLE.md says"
    bare = [entry for entry, (_, hashes) in locked.items() if not hashes]
    assert not bare, f"requirements/{name}.txt: no hash for {bare}"


def test_dev_contains_runtime() -> None:
    """Tests run with the very packages that the program runs with."""
    runtime, dev = lock("runtime"), lock("dev")
    differing = [entry for entry in runtime if dev.get(entry) != runtime[entry]]
    assert not differing, f"requirements/dev.txt differs from runtime.txt in {differing}; remake both"


def test_every_pin_is_exact() -> None:
    """Optional dependencies are pinned too, and so is every collection."""
    for requirements in PROJECT["optional-dependencies"].values():
        pins(requirements)
    loose = [
        item for item in load(REPOSITORY / "requirements.yml")["collections"] if not re.fullmatch(r"\d[\w.]*", str(item.get("version", "")))
    ]
    assert not loose, f"requirements.yml: pin exactly: {loose}"


def test_images_agree() -> None:
    """What both an image and this project use has the same version in both, so that tests run what images run."""
    ours = pins([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]])
    for path in sorted((REPOSITORY / "images").glob("*/requirements.in")):
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        theirs = pins([line for line in lines if line])
        differing = {package: (version, ours[package]) for package, version in theirs.items() if ours.get(package, version) != version}
        assert not differing, f"{path.parent.name}: (its version, ours) differ: {differing}"
