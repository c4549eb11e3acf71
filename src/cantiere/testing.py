"""``./cantiere test``: every check of the project, or its system scenarios and benchmarks, with the time that each takes."""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTEST_NOTHING_COLLECTED = 5
MESSAGE_LENGTH = 1500
CANTIERE = (sys.executable, "-m", "cantiere")
PLUGINS = ("action", "callback", "filter", "inventory")
MOLECULES = frozenset({"base", "container_engine", "containerd", "storage_client", "squid", "virtual_address"})
"""Roles whose scenario every run of ``--system`` has; ``--full`` has all."""
FURTHER = {"openstack_servers": ("--servers", "20", "100", "1000", "--peers", "100")}
"""Benchmarks that ``--full`` takes further, and how."""

EXAMPLES = """\
examples:
  ./cantiere test                        format, lint, types, YAML, Ansible, docs, unit, golden and repository tests
  ./cantiere test types docs             only these checks
  ./cantiere test --system               every scenario on a real facility of this machine, then the benchmarks
  ./cantiere test --system lifecycle     one scenario
  ./cantiere test --system --full        with the scenarios that are too long for every run
  ./cantiere test --system molecule-base the molecule scenario of one role
  ./cantiere test --list                 the names
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check came to.

    Parameters
    ----------
    name:
        The check, scenario or benchmark.
    seconds:
        Wall-clock time.
    passed, failed, skipped:
        Number of tests; a tool counts as one test.
    slowest:
        For pytest, its tests with their seconds, the slowest first.
    failures:
        For pytest, the tests that failed, each with the beginning of its message.
    """

    name: str
    seconds: float
    passed: int
    failed: int
    skipped: int = 0
    slowest: tuple[tuple[str, float], ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of a run: its name, what it does in a few words, and the function that does it."""

    name: str
    title: str
    run: Callable[[], Outcome]


def tool(name: str, title: str, *command: str) -> Check:
    """A check that is one run of a program; its output is shown only when it fails."""

    def run() -> Outcome:
        print(f"{name:<12} {title} ...", end="", flush=True)
        begin = time.monotonic()
        done = subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
        good = done.returncode == 0
        print(f" {'ok' if good else 'FAILED'} ({seconds:.1f} s)", flush=True)
        if not good:
            print("    " + (done.stdout + done.stderr).strip().replace("\n", "\n    "), flush=True)
        return Outcome(name, seconds, int(good), int(not good))

    return Check(name, title, run)


def pytest(name: str, title: str, *arguments: str, empty_is_failure: bool = False) -> Check:
    """A check that is one run of pytest, its output streamed and its tests counted one by one."""

    def run() -> Outcome:
        print(f"{name:<12} {title}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "junit.xml"
            begin = time.monotonic()
            command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments]
            code = subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False).returncode
            seconds = time.monotonic() - begin
            return counted(name, seconds, code, report, empty_is_failure=empty_is_failure)

    return Check(name, title, run)


def counted(name: str, seconds: float, code: int, report: Path, *, empty_is_failure: bool) -> Outcome:
    """The outcome of a run of pytest, from its exit code and its JUnit report.

    A run that pytest could not finish counts as one failure more, so that it can never look green.
    """
    passed = failed = skipped = 0
    times: list[tuple[str, float]] = []
    failures: list[tuple[str, str]] = []
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            times.append((case.get("name", ""), float(case.get("time", "0"))))
            wrong = [found for found in (case.find("failure"), case.find("error")) if found is not None]
            if wrong:
                failed += 1
                failures.append((case.get("name", ""), wrong[0].get("message", "")[:MESSAGE_LENGTH]))
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    ended_well = code == 0 or (code == 1 and failed > 0) or (code == PYTEST_NOTHING_COLLECTED and not empty_is_failure)
    times.sort(key=lambda item: -item[1])
    return Outcome(name, seconds, passed, failed + (not ended_well), skipped, tuple(times), tuple(failures))


def checks() -> list[Check]:
    """The checks of a plain run, in order."""
    python = (sys.executable, "-m")
    code = [
        str(path)
        for path in ("src", "tests", "molecule", "bench", "library", "module_utils", *(f"{kind}_plugins" for kind in PLUGINS))
        if (REPOSITORY / path).is_dir()
    ]
    tests = [path for path in ("tests/unit", "tests/golden", "tests/repo") if (REPOSITORY / path).is_dir()]
    return [
        tool("format", "ruff format", *python, "ruff", "format", "--check", "--quiet", "--diff", *code),
        tool("lint", "ruff check", *python, "ruff", "check", "--quiet", *code),
        tool("types", "mypy --strict", *python, "mypy", "--no-error-summary"),
        tool("yaml", "yamllint", *python, "yamllint", "--strict", "."),
        tool("ansible", "ansible-lint, production profile", *python, "ansiblelint", "--offline", "--strict", "-q"),
        tool("docs", "the site, warnings as errors", *python, "sphinx", "-W", "-q", "-b", "html", "docs", ".cache/site"),
        pytest("tests", ", ".join(tests), "-q", "--durations=5", *tests, empty_is_failure=True),
    ]


def scenarios(full: bool) -> list[Check]:
    """One check for each file of ``tests/system``, and for each of its folders: what such a folder's tests share is raised once."""
    options = ("-v", "-s", "--no-header", "--tb=short", *(() if full else ("-m", "not full")))
    home = REPOSITORY / "tests" / "system"
    described = {path: path for path in home.glob("test_*.py")} | {path.parent: path for path in home.glob("*/conftest.py")}
    return [
        pytest(path.stem.removeprefix("test_"), heading(text), *options, str(path.relative_to(REPOSITORY)))
        for path, text in sorted(described.items(), key=lambda item: item[0].stem.removeprefix("test_"))
    ]


def molecules(full: bool) -> list[Check]:
    """One check for each scenario of ``molecule``: a role converged on system containers of its own."""
    names = sorted(path.parent.name for path in (REPOSITORY / "molecule").glob("*/molecule.yml"))
    return [molecule(name) for name in names if full or name in MOLECULES]


def molecule(name: str) -> Check:
    """A scenario: check, converge, idempotence, verify, and the machines gone; its output is shown only when it fails."""
    command = (sys.executable, "-m", "molecule", "test", "--scenario-name", name)
    return tool(f"molecule-{name}", f"role {name} on system containers", *command)


def benchmarks(full: bool) -> list[Check]:
    """One check for each program of ``bench``; its output, the figures, is shown."""
    paths = sorted((REPOSITORY / "bench").glob("[!_]*.py"))
    return [bench(path, *(FURTHER.get(path.stem, ()) if full else ())) for path in paths]


def bench(path: Path, *options: str) -> Check:
    """A benchmark: a program that prints its figures against the measures; it fails only where it cannot be run."""

    def run() -> Outcome:
        print(f"{path.stem:<12} {heading(path)}", flush=True)
        begin = time.monotonic()
        code = subprocess.run([sys.executable, str(path), *options], cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False).returncode
        return Outcome(path.stem, time.monotonic() - begin, int(code == 0), int(code != 0))

    return Check(path.stem, heading(path), run)


def heading(path: Path) -> str:
    """The first line of a Python file's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def report(outcomes: Sequence[Outcome]) -> int:
    """Print where the time went and the closing line.

    Returns
    -------
    int
        The exit code: 1 where anything failed or nothing ran.
    """
    width = max((len(outcome.name) for outcome in outcomes), default=0)
    print(f"\n{'':<{width}}  {'seconds':>8}  {'passed':>6}  {'failed':>6}  {'skipped':>7}")
    for outcome in outcomes:
        print(f"{outcome.name:<{width}}  {outcome.seconds:>8.1f}  {outcome.passed:>6}  {outcome.failed:>6}  {outcome.skipped:>7}")
    passed, failed, skipped = (sum(getattr(outcome, part) for outcome in outcomes) for part in ("passed", "failed", "skipped"))
    print(f"{'together':<{width}}  {sum(outcome.seconds for outcome in outcomes):>8.1f}")
    for outcome in outcomes:
        for test, message in outcome.failures:
            print(f"FAILED {outcome.name} {test}: {message}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 0 if passed and not failed else 1


def _up() -> bool:
    """Whether a facility is up on this machine."""
    return subprocess.run([*CANTIERE, "status", "--json"], cwd=REPOSITORY, capture_output=True, check=False).returncode == 0


def arguments() -> argparse.ArgumentParser:
    """The command line of ``./cantiere test``."""
    parser = argparse.ArgumentParser(
        prog="cantiere test",
        description="Run the project's checks, or with --system its scenarios and benchmarks on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all; --list tells the names)")
    parser.add_argument("--system", action="store_true", help="raise a real facility here and use it; needs root")
    parser.add_argument("--full", action="store_true", help="with --system: the scenarios marked 'full' too, and larger benchmarks")
    parser.add_argument("--list", action="store_true", help="show the names and what each does, and run nothing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    Returns
    -------
    int
        0 when everything passed, 1 when something failed, 2 for a wrong command line.
    """
    parser = arguments()
    options = parser.parse_args(argv)
    if options.full and not options.system:
        parser.error("--full goes with --system")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (REPOSITORY / ".cache").mkdir(exist_ok=True)
    available = [*scenarios(options.full), *molecules(options.full), *benchmarks(options.full)] if options.system else checks()
    unknown = sorted(set(options.names) - {check.name for check in available})
    if unknown:
        parser.error(f"no such check: {', '.join(unknown)}; there are: {', '.join(check.name for check in available)}")
    chosen = [check for check in available if not options.names or check.name in options.names]
    if options.list:
        for check in chosen:
            print(f"{check.name:<14} {check.title}")
        return 0
    standing = options.system and _up()
    outcomes = [check.run() for check in chosen]
    if options.system:
        if not standing and _up():
            print("taking down what the scenarios raised", flush=True)
            subprocess.run([*CANTIERE, "down"], cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False)
        for outcome in outcomes:
            for test, seconds in outcome.slowest[:10]:
                print(f"{outcome.name:<14} {seconds:>8.1f} s  {test}")
    return report(outcomes)


if __name__ == "__main__":
    sys.exit(main())
