"""Folders of runs: each goes with its run, and those of killed runs with a later one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cantiere.runs import FOLDER, LAST_STEP, end_left_behind, left_behind, scratch


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


ASKER = """
import os, subprocess, sys, time
process = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], env={**os.environ, "CANTIERE_RUN": str(os.getpid())})
time.sleep(600)
"""
PLAYBOOK = """
import os, sys, time
read, write = os.pipe()
worker = os.fork()
if worker:
    os.write(1, f"{os.getpid()} {worker}\\n".encode())
    time.sleep(600)
os.setsid()
os.write(write, bytes(1 << 20))
"""
"""Forks a worker that leaves the process group and waits for ever in a write to a pipe that it could read itself."""
BECOMES = """
import os, sys
os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", *sys.argv[1:]], {**os.environ, "CANTIERE_RUN": input()})
"""
"""Becomes another program with another environment, and stays the process that it is."""


def asleep(process: int) -> bool:
    """Whether a process has been asleep twice in a row."""
    for _ in range(2):
        time.sleep(0.05)
        if Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "S":
            return False
    return True


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_workers_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    """Those of this site whose asker was killed, the worker in a session of its own among them; a run that goes on keeps its own."""
    started = []
    try:
        for site in ("site", "site", "other"):
            command = [sys.executable, "-c", ASKER, PLAYBOOK, "-i", str(tmp_path / site)]
            asker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert asker.stdout is not None
            with asker.stdout:
                started.append((asker, [int(word) for word in asker.stdout.readline().split()]))
        (killed, left), (_, kept), (another, others) = started
        for asker in (killed, another):
            asker.kill()
        until(lambda: all(asleep(worker) for _, (_, worker) in started))
        assert sorted(end_left_behind("-i", str(tmp_path / "site"))) == sorted(left)
        until(lambda: not any(map(alive, left)))
        assert all(map(alive, [*kept, *others]))
    finally:
        for asker, processes in started:
            for process in filter(alive, processes):
                os.kill(process, signal.SIGKILL)
            asker.kill()
            asker.wait()


def test_a_number_that_was_given_again_is_not_the_run(tmp_path: Path) -> None:
    """Who asked for a run began before its workers; whatever has its number and began later is another process."""
    worker = subprocess.Popen([sys.executable, "-c", BECOMES, "-i", str(tmp_path)], stdin=subprocess.PIPE, text=True)
    time.sleep(0.1)  # clocks of processes tick every 10 ms
    later = subprocess.Popen(["sleep", "600"])
    assert worker.stdin is not None
    with worker.stdin:
        worker.stdin.write(f"{later.pid}\n")
    try:
        until(lambda: b"CANTIERE_RUN" in Path(f"/proc/{worker.pid}/environ").read_bytes())
        assert end_left_behind("-i", str(tmp_path)) == [worker.pid]
        assert worker.wait(5) == -signal.SIGKILL
    finally:
        worker.kill()
        later.kill()
        later.wait()
