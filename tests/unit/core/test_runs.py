"""Folders of runs: each goes with its run, and those of killed runs with a later one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from cantiere.runs import FOLDER, LAST_STEP, left_behind, scratch


def made(place: Path, name: str, age: float = 2 * LAST_STEP) -> Path:
    folder = place / name
    folder.mkdir()
    (folder / "events.jsonl").write_text("", encoding="utf-8")
    then = time.time() - age
    for path in (folder / "events.jsonl", folder):
        os.utime(path, (then, then))
    return folder


def ended() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_only_what_ended_runs_of_ours_left_is_removed(tmp_path: Path) -> None:
    left = made(tmp_path, f"{FOLDER}{ended()}-abc_1")
    kept = [
        made(tmp_path, f"{FOLDER}{os.getpid()}-abc_2"),
        made(tmp_path, f"{FOLDER}{ended()}-abc_3", age=LAST_STEP / 2),
        made(tmp_path, f"{FOLDER}abc_4"),
        made(tmp_path, f"other-{ended()}-abc_5"),
    ]
    (tmp_path / f"{FOLDER}{ended()}-abc_6").symlink_to(kept[0])
    assert left_behind(tmp_path) == [left]
    with scratch(tmp_path) as folder:
        assert folder.is_dir() and folder.name.startswith(f"{FOLDER}{os.getpid()}-")
        assert not left.exists() and all(path.is_dir() for path in kept)
    assert not folder.exists()


def test_a_folder_that_is_still_written_to_stays(tmp_path: Path) -> None:
    folder = made(tmp_path, f"{FOLDER}{ended()}-abc")
    (folder / "events.jsonl").write_text("a line", encoding="utf-8")
    assert left_behind(tmp_path) == []
