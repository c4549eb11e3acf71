"""Jobs of a step: in the queue as long as the step needs them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cantiere.verify import jobs
from cantiere.verify.kernel import Kernel
from cantiere.verify.result import StepFailed


class Notebook:
    """Stands for a kernel: keeps what it is asked to run."""

    def __init__(self, *, gone: bool = False) -> None:
        self.asked: list[str] = []
        self.gone = gone

    def call(self, expression: str, timeout: float, remedy: str) -> Any:
        self.asked.append(expression)
        return 7

    def run(self, code: str, timeout: float, remedy: str) -> str:
        self.asked.append(code)
        if self.gone:
            raise StepFailed("the server is gone", remedy)
        return ""


def queued(notebook: Notebook, failure: Exception | None = None) -> None:
    with jobs.queued(cast("Kernel", notebook), "true", count=2, token=True) as cluster:
        assert cluster == 7
        if failure:
            raise failure


@pytest.mark.parametrize("failure", [None, StepFailed("no job started", "look")])
def test_they_leave_with_the_block(failure: Exception | None) -> None:
    notebook = Notebook()
    if failure:
        with pytest.raises(StepFailed, match="no job started"):
            queued(notebook, failure)
    else:
        queued(notebook)
    assert notebook.asked == ["probe.start_jobs('true', count=2, token=True)", "probe.remove(7)"]


def test_what_failed_first_is_told() -> None:
    with pytest.raises(StepFailed, match="no job started"):
        queued(Notebook(gone=True), StepFailed("no job started", "look"))


def test_jobs_that_stay_are_told() -> None:
    with pytest.raises(StepFailed, match="the server is gone"):
        queued(Notebook(gone=True))
