"""What is written agrees with what is there."""

from __future__ import annotations

import re
import subprocess

from cantiere import docs
from support.tree import REPOSITORY, files, name

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
STYLE = (REPOSITORY / "STYLE.md").read_text(encoding="utf-8")
FIRST_SCREEN = 30


def test_reference_is_fresh() -> None:
    """The generated pages are what the types, the roles and the command line give now."""
    stale = docs.stale()
    assert not stale, f"run `.venv/bin/python -m cantiere.docs`: {[name(path) for path in stale]} are not fresh"


def test_readme_begins_with_the_two_commands() -> None:
    """A newcomer sees on the first screen how to raise the facility and how to pass the tests."""
    screen = README.splitlines()[:FIRST_SCREEN]
    for command in ("./cantiere up", "./cantiere test"):
        assert any(re.fullmatch(rf"{command}(\s+#.*)?", line) for line in screen), (
            f"README.md: {command!r} is not in the first {FIRST_SCREEN} lines"
        )


def test_ci_runs_the_readme() -> None:
    """Every phase of .ci/run is a command of the README."""
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    phases = re.findall(r'^phase "(.+?)"', script, re.MULTILINE)
    assert phases, ".ci/run has no phases"
    missing = [phase for phase in phases if not re.search(rf"^\./cantiere {re.escape(phase)}(\s+#.*)?$", README, re.MULTILINE)]
    assert not missing, f"README.md lacks the commands of .ci/run: {missing}"


def test_every_rule_has_its_check() -> None:
    """STYLE.md names a check for each rule, and files that it names exist."""
    rows = [row for row in STYLE.splitlines() if row.startswith("| ") and not row.startswith(("| rule", "| ---"))]
    assert rows, "STYLE.md has no table of rules"
    for row in rows:
        rule, check = (cell.strip() for cell in row.strip("|").split("|"))
        assert check, f"STYLE.md: no check holds {rule!r}"
        for path, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", check):
            assert (REPOSITORY / path).is_file(), f"STYLE.md: there is no {path}"
            assert not test or f"def {test}(" in (REPOSITORY / path).read_text(encoding="utf-8"), f"STYLE.md: {path} has no {test}"


def test_shell_scripts_parse() -> None:
    """The launcher and every shell script parse with the shell that they name."""
    for path in files():
        with path.open("rb") as handle:
            first = handle.readline(80)
        shell = re.match(rb"#!(?:/usr/bin/env |/bin/|/usr/bin/)(sh|bash|dash)\b", first)
        if shell:
            done = subprocess.run([shell[1].decode(), "-n", str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name(path)}: {done.stderr}"


def test_every_fault_of_openstack_has_its_row() -> None:
    """The troubleshooting table of the guide has the codes that the provider gives, and no others."""
    guide = (REPOSITORY / "docs" / "how-to" / "openstack.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \|", guide.partition("## Troubleshooting")[2], re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`(openstack\.\w+)`", row)}
    sources = (REPOSITORY / "src" / "cantiere" / "providers" / "openstack").glob("*.py")
    given = {code for file in sources for code in re.findall(r'"(openstack\.\w+)"', file.read_text(encoding="utf-8"))}
    assert told == given
