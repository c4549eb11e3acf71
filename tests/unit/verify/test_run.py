from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cantiere.verify import run, steps
from cantiere.verify.kernel import Kernel, last_line
from cantiere.verify.result import Result, StepFailed, StepNotRun, summary
from cantiere.verify.session import Session
from cantiere.verify.steps import STEPS, Step, chosen
from cantiere.verify.target import Output, Parts, Target
from cantiere.verify.tokens import TokenClient

LEAST = Parts(iam="iam", hub="hub")
CLIENT = TokenClient("https://iam.example", "verify", "", "http://localhost/callback", Path("ca.pem"))


class NoControl:
    def __init__(self) -> None:
        self.deeds: list[str] = []

    def exec(self, container: str, command: Any, timeout: float = 60.0) -> Output:
        return Output(0, "", "")

    def stop(self, container: str) -> None:
        self.deeds.append(f"stop {container}")

    def kill(self, container: str) -> None:
        self.deeds.append(f"kill {container}")

    def start(self, container: str) -> None:
        self.deeds.append(f"start {container}")


def target(control: NoControl | None = None, parts: Parts = LEAST) -> Target:
    return Target(
        prefix="cantiere-here",
        domain="here.internal",
        parts=parts,
        ca=Path("ca.pem"),
        control=control or NoControl(),
        password=lambda user: "",
        users={"alice": ["/cms", "/cms/analysis"], "carol": ["/cms"], "bob": ["/atlas"]},
        allowed_groups=["/cms"],
        token_client=CLIENT,
        short_client=CLIENT,
        namespace="/store",
        storage="/srv/xrootd/data/store",
        bucket="analysis",
        role_arn="",
        hub_socket="",
        repository="",
        examples=Path("examples"),
        workers=lambda: (),
        prometheus_url="",
    )


def good(session: Session) -> str:
    return "seen"


def bad(session: Session) -> str:
    raise StepFailed("it is not so", "mend it")


def impossible(session: Session) -> str:
    raise StepNotRun("nobody is there")


def broken(session: Session) -> str:
    raise ConnectionError("no route")


def test_a_cache_of_several_servers_is_asked_at_each() -> None:
    """By https: a redirector has the root protocol alone."""
    alone = target(parts=Parts(caches=("site",)))
    assert [alone.https("site", server) for server in alone.servers("site")] == ["https://site.here.internal:8443/store"]
    several = target(parts=Parts(caches=("site",), servers={"site": ("site-0", "site-1")}))
    assert [several.https("site", server) for server in several.servers("site")] == [
        "https://site-0.site-servers.here.internal:8443/store",
        "https://site-1.site-servers.here.internal:8443/store",
    ]


def outcomes(*tried: Step, parts: Parts = LEAST) -> dict[str, Result]:
    return {result.name: result for result in run(target(parts=parts), lambda result: None, tried)}


def test_a_failure_silences_what_needs_it_and_nothing_else() -> None:
    seen = outcomes(
        Step("a", "", bad), Step("b", "", good, ("a",)), Step("c", "", good, ("b",)), Step("d", "", good), Step("e", "", broken)
    )
    assert [seen[name].ok for name in "abcde"] == [False, None, None, True, False]
    assert seen["a"].evidence == "it is not so" and seen["a"].remedy == "mend it"
    assert seen["b"].evidence == "not run: a failed" and seen["c"].evidence == "not run: b failed"
    assert seen["e"].evidence == "ConnectionError: no route" and seen["e"].remedy


def test_what_cannot_be_tried_does_not_silence_the_rest() -> None:
    seen = outcomes(Step("a", "", impossible), Step("b", "", good, ("a",)))
    assert seen["a"].ok is None and seen["b"].ok is True


def test_a_part_that_the_template_lacks() -> None:
    seen = outcomes(Step("a", "", good, parts=("store", "origin")), Step("b", "", good, ("a",)))
    assert seen["a"].ok is None and "store" in seen["a"].evidence and "origin" in seen["a"].evidence


def test_everything_is_put_back_and_a_failure_of_that_is_told() -> None:
    done: list[str] = []

    def messy(session: Session) -> str:
        session.cleanup.callback(done.append, "first")
        session.cleanup.callback(session.target.control.start, "x")
        session.cleanup.callback(broken, session)
        return ""

    control = NoControl()
    results = run(target(control), lambda result: None, [Step("a", "", messy), Step("b", "", bad)])
    assert done == ["first"] and control.deeds == ["start x"]
    assert [(result.name, result.ok) for result in results] == [("a", True), ("b", False), ("clean-up", False)]


def test_stopped_containers_run_again_after_a_failure() -> None:
    control = NoControl()

    def stopping(session: Session) -> str:
        with session.stopped("national-cache", "origin"):
            raise StepFailed("not served", "mend it")

    run(target(control), lambda result: None, [Step("a", "", stopping)])
    assert control.deeds == ["stop national-cache", "stop origin", "start origin", "start national-cache"]


def test_chosen_steps_bring_what_they_need_in_order() -> None:
    names = [step.name for step in chosen(["metric", "second-read"])]
    assert names == [
        "login",
        "spawn",
        "first-read",
        "second-read",
        "analysis",
        "token-renewed",
        "metric",
    ]
    assert chosen([]) == STEPS
    with pytest.raises(KeyError):
        chosen(["nothing"])


def test_needs_come_before() -> None:
    names = [step.name for step in steps.STEPS]
    assert len(set(names)) == len(names)
    for step in steps.STEPS:
        assert all(names.index(need) < names.index(step.name) for need in step.needs)
        assert all(hasattr(Parts(), part) for part in step.parts)


def test_members_and_outsiders() -> None:
    assert target().members() == ["alice", "carol"]
    assert target().outsiders() == ["bob"]


def test_summary_counts() -> None:
    shape = summary([Result("a", "A", True, 1.234, "x"), Result("b", "B", False, 0.0, "y", "z"), Result("c", "C", None, 0.0, "")])
    assert (shape["passed"], shape["failed"]) == (1, 1)
    assert shape["steps"][0] == {"name": "a", "title": "A", "ok": True, "seconds": 1.23, "evidence": "x", "remedy": ""}


def test_last_line_of_a_coloured_traceback() -> None:
    assert (
        last_line("\x1b[0;31mTraceback\x1b[0m\n  x\n\x1b[0;31mValueError\x1b[0m: no such \x1b[1mthing\x1b[0m\n\n")
        == "ValueError: no such thing"
    )


def test_a_value_is_read_though_something_is_written_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def progress(kernel: Kernel, code: str, timeout: float, remedy: str) -> str:
        marker = code.split("'")[1]
        return f'\r[Stage 0:=>    ]{marker}["a", "b"]\n\r[Stage 0:======>]\r   \r'

    monkeypatch.setattr(Kernel, "run", progress)
    assert object.__new__(Kernel).call("hosts()") == ["a", "b"]
