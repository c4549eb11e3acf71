"""What no file of the repository may hold, and how long a file may be. Names that must not stand here are put together from pieces."""

from __future__ import annotations

import re

import pytest

from support.tree import files, name, texts

LONGEST = 400
LARGEST = 1024 * 1024
TEXTS = dict(texts())
UNLIMITED = re.compile(
    r"artifacts\.yaml|requirements/\w+\.txt|images/[\w-]+/requirements\.txt|.*/package-lock\.json|.*\.lock|.*/go\.sum|LICENSE|tests/.*golden/.*|docs/reference/\w+\.md|.*\.ipynb"
)
MODULES = re.compile(r"builds/[\w-]+/go\.(mod|sum)")
"""Lists of the modules of others, by the names that these have."""

FORBIDDEN = {
    "the host of a package registry (its client knows it)": "|".join(
        re.escape(first + second)
        for first, second in (
            ("pypi", ".org"),
            ("files.python", "hosted.org"),
            ("registry.npm", "js.org"),
            ("proxy.go", "lang.org"),
            ("sum.go", "lang.org"),
            ("crates", ".io"),
            ("deb.deb", "ian.org"),
            ("security.deb", "ian.org"),
            ("archive.ub", "untu.com"),
            ("repo.maven.apa", "che.org"),
        )
    ),
    "a path of one machine": "/wo" + r"rk/(main|shared|steering|\.library|\.mirror)|/tmp/" + "lab/|/root/" + r"\.pyenv",
    "a private key": "BEGIN " + r"(RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE" + " KEY-",
    "who or what wrote it": "|".join(
        (
            r"\bA" + r"I\b",
            r"\bLL" + r"Ms?\b",
            "(?i:chat" + "gpt)",
            "(?i:anth" + "ropic)",
            "(?i:open" + "ai)",
            "(?i:cop" + "ilot)",
            r"(?i:\bassis" + r"tants?\b)",
            "(?i:co-auth" + "ored-by)",
        )
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_forbidden_text(what: str) -> None:
    """No file names what must not be named."""
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in TEXTS.items()
        if pattern.search(text) and not MODULES.fullmatch(path)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what} stands in\n" + "\n".join(found)


def test_container_registries_have_one_home() -> None:
    """Images are pinned in artifacts.yaml: nothing else names a container registry."""
    pattern = re.compile("(docker" + r"\.io|quay" + r"\.io|ghcr" + r"\.io|registry\.k8s" + r"\.io)/")
    found = [path for path, text in TEXTS.items() if pattern.search(text) and path != "artifacts.yaml"]
    assert not found, f"pin these images in artifacts.yaml and name them from there: {found}"


def test_length() -> None:
    """A file is one concern: no more than 400 lines (locks and generated pages apart)."""
    long = {path: lines for path, text in TEXTS.items() if (lines := text.count("\n")) > LONGEST and not UNLIMITED.fullmatch(path)}
    assert not long, f"split by concern, at most {LONGEST} lines: {long}"


def test_no_binaries() -> None:
    """Only pictures of the documentation are not text, and nothing is large."""
    found = [name(path) for path in files() if name(path) not in TEXTS and not (path.suffix == ".png" and name(path).startswith("docs/"))]
    assert not found, f"make these from sources, do not commit them: {found}"
    large = [name(path) for path in files() if path.stat().st_size > LARGEST]
    assert not large, f"larger than {LARGEST} bytes: {large}"


def test_text_is_clean() -> None:
    """Text files end with one newline and have no carriage returns."""
    bad = [path for path, text in TEXTS.items() if text and (not text.endswith("\n") or "\r" in text)]
    assert not bad, f"end these with a newline and use no carriage returns: {bad}"
