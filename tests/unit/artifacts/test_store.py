"""The store holds whole artifacts or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cantiere import supply
from cantiere.errors import CantiereError
from cantiere.supply import pins, store
from cantiere.supply.pins import Anywhere
from cantiere.supply.store import Made

ITEM = pins.item("pause", Anywhere(), "amd64")

HANGS = """
import sys, time
from pathlib import Path
from cantiere.supply import pins, store

def maker(folder):
    (folder / "pause").write_text("half")
    print("begun", flush=True)
    time.sleep(60)

store.make(pins.item("pause", pins.Anywhere(), "amd64"), "build", maker, print, Path(sys.argv[1]))
"""


def quiet(line: str) -> None:
    assert line


def maker(folder: Path) -> Sequence[Made]:
    (folder / "pause").write_text("whole", encoding="utf-8")
    return [Made("pause", ("sleep",))]


def test_made_once(tmp_path: Path) -> None:
    assert store.find(ITEM, "build", tmp_path) is None
    made = store.make(ITEM, "build", maker, quiet, tmp_path)
    assert made == store.find(ITEM, "build", tmp_path)
    assert made.files[0].path.read_text(encoding="utf-8") == "whole"
    assert made.files[0].sha256 == store.sha256(made.files[0].path)
    assert made.files[0].links == ("sleep",)
    assert store.find(ITEM, "upstream", tmp_path) is None

    def never(folder: Path) -> Sequence[Made]:
        raise AssertionError(f"it is there: {folder}")

    assert store.make(ITEM, "build", never, quiet, tmp_path) == made


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> Sequence[Made]:
        (folder / "pause").write_text("half", encoding="utf-8")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        store.make(ITEM, "build", fails, quiet, tmp_path)
    assert store.find(ITEM, "build", tmp_path) is None
    assert [path.name for path in (tmp_path / "artifacts" / "pause").iterdir() if path.is_dir()] == []


def test_a_killed_run_is_made_good(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", HANGS, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout and run.stdout.readline() == "begun\n"
        run.send_signal(signal.SIGKILL)
    assert store.find(ITEM, "build", tmp_path) is None
    assert len(list((tmp_path / "artifacts" / "pause").glob(".new-*"))) == 1
    began = time.monotonic()
    made = store.make(ITEM, "build", maker, quiet, tmp_path)
    assert time.monotonic() - began < 10, "the dead run's lock is gone with it"
    assert made.files[0].path.read_text(encoding="utf-8") == "whole"
    assert list((tmp_path / "artifacts" / "pause").glob(".new-*")) == []


def test_a_cut_file_is_made_again(tmp_path: Path) -> None:
    made = store.make(ITEM, "build", maker, quiet, tmp_path)
    made.files[0].path.write_text("cut", encoding="utf-8")
    assert store.find(ITEM, "build", tmp_path) is None
    assert store.make(ITEM, "build", maker, quiet, tmp_path).files[0].path.read_text(encoding="utf-8") == "whole"


def test_replaced_pins_are_forgotten(tmp_path: Path) -> None:
    for way in ("one", "two", "three", "four", "five"):
        store.make(ITEM, way, maker, quiet, tmp_path)
        time.sleep(0.01)
    assert [bool(store.find(ITEM, way, tmp_path)) for way in ("one", "two", "three", "four", "five")] == [False, False, True, True, True]


def test_rows(tmp_path: Path) -> None:
    site = Anywhere("build")
    assert supply.missing(["pause"], site, "amd64", tmp_path) == ("pause",)
    with pytest.raises(CantiereError, match="not in the store"):
        supply.placed(["pause"], site, "amd64", tmp_path)
    made = store.make(ITEM, "build", maker, quiet, tmp_path)
    assert supply.missing(["pause"], site, "amd64", tmp_path) == ()
    assert supply.ensure(["pause"], site, "amd64", quiet, tmp_path) == {"pause": made}
    assert supply.placed(["pause"], site, "amd64", tmp_path) == [
        {
            "artifact": "pause",
            "version": ITEM.version,
            "name": "pause",
            "sha256": made.files[0].sha256,
            "mode": "0755",
            "links": ["sleep"],
            "sources": [str(made.files[0].path)],
        }
    ]
