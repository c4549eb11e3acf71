"""The terminal asks the inputs by the template's own rules, again where an answer is wrong; secrets are neither shown nor in the file."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from cantiere import cli
from cantiere.declared import declared
from cantiere.errors import TemplateError
from cantiere.portfolio.asking import Answers, ask_all, write
from cantiere.tosca.compile import load

TEMPLATE = Path(__file__).parent / "analysis.yaml"
SECRET = "not to be seen"


def asked(output: Path, answers: dict[str, Sequence[str]]) -> tuple[Answers, list[str], list[str]]:
    """Answer by label (an empty answer where there is none left): the answers, the prompts, and what was said."""
    left = {label: list(given) for label, given in answers.items()}
    prompts: list[str] = []
    said: list[str] = []

    def ask(prompt: str, hidden: bool) -> str:
        prompts.append(prompt)
        label = prompt.partition(" (")[0]
        assert hidden is (label == "Admin password")
        return left[label].pop(0) if left.get(label) else ""

    return ask_all(declared(TEMPLATE), output, ask, said.append), prompts, said


def test_wrong_answers_are_asked_again(tmp_path: Path) -> None:
    output = tmp_path / "in.yml"
    given = {"Workers": ["many", "900", "7"], "Memory": ["7", "3 GB"], "Admin password": ["", SECRET], "Store mode": ["slow", "safe"]}
    answers, prompts, said = asked(output, given)
    assert [prompt.partition(" (")[0] for prompt in prompts].count("Workers") == 3
    assert any("'workers' is of type integer" in line for line in said)
    assert any("in the range [0, 200]" in line for line in said)
    assert any("a value is needed" in line for line in said)
    write(answers, output, declared(TEMPLATE))
    facility = load(TEMPLATE, inputs_file=output).facility
    assert facility.node("pool").properties["workers"] == 7
    assert facility.node("pool").properties["memory"] == 3 * 10**9
    assert facility.node("store").properties["mode"] == "safe"


def test_the_tabs_and_what_an_empty_answer_keeps(tmp_path: Path) -> None:
    _, prompts, said = asked(tmp_path / "in.yml", {"Admin password": ["x"]})
    assert [line.splitlines()[1] for line in said if line.startswith("\n")] == ["General", "Batch", "Access"]
    assert "Workers (integer, in_range [0, 200]) [2]: " in prompts
    assert 'Who may submit (list) [["/cms"]]: ' in prompts


def test_a_secret_is_a_reference_to_a_file_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "in.yml"
    answers, _, _ = asked(output, {"Admin password": [SECRET]})
    write(answers, output, declared(TEMPLATE))
    assert SECRET not in output.read_text()
    kind, _, path = yaml.safe_load(output.read_text())["admin_password"].partition(":")
    assert kind == "file" and Path(path).read_text() == SECRET
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


def test_a_reference_stays_what_it_is(tmp_path: Path) -> None:
    output = tmp_path / "in.yml"
    answers, _, _ = asked(output, {"Admin password": ["env:STORE_PASSWORD"]})
    write(answers, output, declared(TEMPLATE))
    assert yaml.safe_load(output.read_text()) == {"admin_password": "env:STORE_PASSWORD"}
    assert not (tmp_path / "in.secrets").exists()


def test_answers_of_before_are_the_first_choice(tmp_path: Path) -> None:
    output = tmp_path / "in.yml"
    output.write_text("workers: 5\nadmin_password: hunter2\ncopies: 3\n")
    answers, prompts, _ = asked(output, {"Workers": ["6"]})
    assert not any("hunter2" in prompt for prompt in prompts)
    assert any(prompt.startswith("Copies") and prompt.endswith("[3]: ") for prompt in prompts)
    write(answers, output, declared(TEMPLATE))
    assert yaml.safe_load(output.read_text()) == {"workers": 6, "admin_password": "hunter2", "copies": 3}


def test_a_broken_inputs_file_is_not_written_over(tmp_path: Path) -> None:
    output = tmp_path / "in.yml"
    output.write_text("workers: [")
    with pytest.raises(TemplateError):
        asked(output, {})
    assert output.read_text() == "workers: ["


def test_in_a_real_terminal(tmp_path: Path, repository: Path) -> None:
    """What is typed for a secret does not come back from the terminal, what is typed for others does."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(repository / "src"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "cantiere", "form", str(TEMPLATE), "-o", str(tmp_path / "in.yml")]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True)
    os.close(follower)
    shown = ""
    for label, answer in (
        ("Admin password", SECRET),
        ("Store mode", "safe"),
        ("Copies", ""),
        ("Workers", "17"),
        ("Memory", ""),
        ("Idle", ""),
    ):
        shown += _until(leader, f"{label}")
        shown += _until(leader, ": ")
        os.write(leader, f"{answer}\n".encode())
    for label in ("Limits", "Who may submit"):
        shown += _until(leader, label)
        os.write(leader, b"\n")
    shown += _until(leader, "in.yml: ")
    assert process.wait(30) == 0
    os.close(leader)
    assert "17" in shown and SECRET not in shown
    assert load(TEMPLATE, inputs_file=tmp_path / "in.yml").facility.node("pool").properties["workers"] == 17


def _until(leader: int, text: str, limit: float = 60.0) -> str:
    """What the terminal shows up to a text."""
    shown, end = "", time.monotonic() + limit
    while text not in shown:
        ready, _, _ = select.select([leader], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{text!r} did not come: {shown!r}"
        shown += os.read(leader, 1).decode("utf-8", "replace")
    return shown


def test_without_an_answer_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def ended(prompt: str = "") -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    assert cli.main(["form", str(TEMPLATE), "-o", str(tmp_path / "in.yml")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
