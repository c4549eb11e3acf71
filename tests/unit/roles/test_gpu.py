"""NVIDIA GPUs cut into instances: layouts, what ``nvidia-smi`` prints, and the way from one to the other.

The printed texts are samples of NVIDIA's MIG user guide; no GPU takes part in these tests.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cantiere import gpu
from support.tree import REPOSITORY

A100 = gpu.Gpu(0, "NVIDIA A100-SXM4-40GB", 40960, "Enabled", "Enabled")
H100 = gpu.Gpu(1, "NVIDIA H100 80GB HBM3", 81559, "Disabled", "Disabled")

TWO_THREES = """\
+----------------------------------------------------+
| GPU instances:                                     |
| GPU   Name          Profile  Instance   Placement  |
|                       ID       ID       Start:Size |
|====================================================|
|   0  MIG 3g.20gb       9        1          4:4     |
+----------------------------------------------------+
|   0  MIG 3g.20gb       9        2          0:4     |
+----------------------------------------------------+
"""
MIXED = """\
+----------------------------------------------------+
| GPU instances:                                     |
| GPU   Name          Profile  Instance   Placement  |
|                       ID       ID       Start:Size |
|====================================================|
|   0  MIG 1g.5gb       19        7          0:1     |
+----------------------------------------------------+
|   0  MIG 1g.5gb       19        8          1:1     |
+----------------------------------------------------+
|   0  MIG 2g.10gb      14        4          2:2     |
+----------------------------------------------------+
|   0  MIG 3g.20gb       9        2          4:4     |
+----------------------------------------------------+
"""
LIST = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 3g.20gb Device 0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 3g.20gb     Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000001)
"""


def model(word: str, memory: int) -> gpu.Model:
    """A known model."""
    return next(item for item in gpu.MODELS if (item.word, item.memory) == (word, memory))


@pytest.mark.parametrize(
    ("profiles", "fits"),
    [
        (["3g.20gb", "3g.20gb"], True),
        (["3g.20gb", "3g.20gb", "1g.5gb"], False),  # the guide: compute is left, memory is not
        (["1g.5gb"] * 7, True),
        (["1g.5gb"] * 8, False),
        (["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"], True),
        (["3g.20gb", "1g.5gb", "1g.5gb", "1g.5gb", "1g.5gb"], True),  # only with the large one in the upper half
        (["4g.20gb", "3g.20gb"], True),
        (["4g.20gb", "4g.20gb"], False),
        (["1g.10gb"] * 4, True),
        (["1g.5gb+me", "1g.5gb+me"], False),
        (["7g.40gb"], True),
        (["7g.40gb", "1g.5gb"], False),
        (["3g.40gb"], False),  # a profile of another model
    ],
)
def test_place(profiles: list[str], fits: bool) -> None:
    """What fits is placed without overlap where the guide allows it; what does not is refused."""
    a100 = model("A100", 40)
    placed = gpu.place(a100, profiles)
    assert (placed is not None) == fits
    if placed is not None:
        slices = [part for name, start in placed for part in range(start, start + a100.profiles[name].size)]
        assert len(slices) == len(set(slices)) and max(slices) < 8
        assert sorted(name for name, _ in placed) == sorted(profiles)
        assert all(start in a100.profiles[name].starts for name, start in placed)


def test_place_uses_the_upper_half() -> None:
    """Three eighths left over in the lower half would not take four small ones."""
    assert gpu.place(model("A100", 40), ["1g.5gb"] * 4 + ["3g.20gb"]) == (
        ("3g.20gb", 4),
        *((("1g.5gb"), start) for start in range(4)),
    )


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"all": ["3g.40gb", "3g.40gb"]}, []),
        ({"0": ["1g.18gb"] * 7, "1": []}, []),
        ({"first": []}, ["'first' is no GPU"]),
        ({"0": ["3g.21gb"]}, ["no known GPU has", "3g.20gb"]),
        ({"0": ["4g.71gb", "4g.71gb"]}, ["do not fit together on H200 141 GB"]),
        ({"0": ["3g.20gb", "3g.71gb"]}, ["not of one kind"]),
    ],
)
def test_problems(layout: dict[str, list[str]], words: list[str]) -> None:
    """A layout is refused before any machine is touched, and told why."""
    found = gpu.problems(layout)
    assert len(found) == (1 if words else 0)
    assert all(word in found[0] for word in words)


@pytest.mark.parametrize(
    ("name", "memory", "expected"),
    [
        ("NVIDIA A100-SXM4-40GB", 40960, ("A100", 40)),
        ("NVIDIA A100 80GB PCIe", 81920, ("A100", 80)),
        ("NVIDIA A30", 24576, ("A30", 24)),
        ("NVIDIA H100 80GB HBM3", 81559, ("H100", 80)),
        ("NVIDIA H100 NVL", 95830, ("H100", 94)),
        ("NVIDIA GH200 480GB", 97871, ("GH200", 96)),
        ("NVIDIA H200", 143771, ("H200", 141)),
        ("NVIDIA A10", 23028, None),
        ("Tesla V100-SXM2-32GB", 32768, None),
    ],
)
def test_model_of(name: str, memory: int, expected: tuple[str, int] | None) -> None:
    """A model is known by name and memory together."""
    found = gpu.model_of(gpu.Gpu(0, name, memory, "Disabled", "Disabled"))
    assert (None if found is None else (found.word, found.memory)) == expected


def test_parse() -> None:
    """The three outputs are read; a GPU without MIG and messages in place of tables too."""
    lines = (
        "0, NVIDIA A100-SXM4-40GB, 40960, Enabled, Enabled",
        "1, NVIDIA H100 80GB HBM3, 81559, Disabled, Disabled",
        "2, Tesla T4, 15360, [N/A], [N/A]",
    )
    assert gpu.parse_gpus("\n".join(lines)) == (A100, H100, gpu.Gpu(2, "Tesla T4", 15360, "[N/A]", "[N/A]"))
    assert gpu.parse_instances(TWO_THREES) == (gpu.Instance(0, "3g.20gb", 4), gpu.Instance(0, "3g.20gb", 0))
    assert gpu.parse_instances("No GPU instances found: Not Found\n") == ()
    assert gpu.parse_devices(LIST) == {0: ["3g.20gb", "3g.20gb"], 1: []}


def test_nothing_to_do() -> None:
    """GPUs that are as wanted, or are not named, or have no MIG and want none, get no command."""
    instances, devices = gpu.parse_instances(TWO_THREES), gpu.parse_devices(LIST)
    assert gpu.steps((A100, H100), instances, devices, {"0": ["3g.20gb", "3g.20gb"]}) == ()
    assert gpu.steps((A100, H100), instances, devices, {}) == ()
    assert gpu.steps((H100,), (), {1: []}, {"all": []}) == ()


def test_steps() -> None:
    """What is there goes first, devices before their instances; the large ones are made first and have their place."""
    found = gpu.steps((A100,), gpu.parse_instances(MIXED), {0: ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"]}, {"all": ["1g.5gb", "4g.20gb"]})
    assert [" ".join(step.command) for step in found] == [
        "nvidia-smi mig -i 0 -dci",
        "nvidia-smi mig -i 0 -dgi",
        "nvidia-smi mig -i 0 -cgi 4g.20gb:0,1g.5gb:4 -C",
    ]
    assert "1g.5gb, 1g.5gb, 2g.10gb, 3g.20gb" in found[0].reason


def test_instances_without_devices_are_made_again() -> None:
    """Instances alone run no program."""
    found = gpu.steps((A100,), gpu.parse_instances(TWO_THREES), {0: []}, {"0": ["3g.20gb", "3g.20gb"]})
    assert [step.command[4] for step in found] == ["-dgi", "-cgi"]


@pytest.mark.parametrize(
    ("gpus", "layout", "words"),
    [
        ((A100,), {"1": []}, "names GPU 1, and there is none"),
        ((A100,), {"all": ["3g.40gb"]}, "cannot be cut into 3g.40gb"),
        ((gpu.Gpu(0, "Tesla T4", 15360, "[N/A]", "[N/A]"),), {"0": ["1g.5gb"]}, "leave it out"),
        ((H100._replace(pending="Enabled"),), {"1": ["3g.40gb"]}, "becomes Enabled with a reset"),
    ],
)
def test_cannot_be_reached(gpus: tuple[gpu.Gpu, ...], layout: dict[str, list[str]], words: str) -> None:
    """What no command can bring about is told."""
    with pytest.raises(ValueError, match=words):
        gpu.steps(gpus, (), {}, layout)


class Card:
    """A GPU as the guide describes its answers: it keeps its mode and instances, and prints them as ``nvidia-smi`` does."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.instances: list[tuple[str, int]] = []
        self.commands: list[str] = []

    def run(self, command: Sequence[str]) -> str:
        words = list(command)
        if tuple(words) == gpu.QUERY:
            return f"0, NVIDIA A100-SXM4-40GB, 40960, {self.mode}, {self.mode}\n"
        if tuple(words) == gpu.INSTANCES:
            rows = [
                f"|   0  MIG {name}       9        {number}          {start}:4     |" for number, (name, start) in enumerate(self.instances)
            ]
            return "\n".join(rows) or "No GPU instances found: Not Found"
        if tuple(words) == gpu.DEVICES:
            rows = [f"  MIG {name} Device {number}: (UUID: MIG-{number})" for number, (name, _) in enumerate(self.instances)]
            return "\n".join(["GPU 0: A100-SXM4-40GB (UUID: GPU-0)", *rows])
        self.commands.append(" ".join(words))
        if "-mig" in words:
            self.mode = "Enabled" if words[-1] == "1" else "Disabled"
        if "-dgi" in words:
            self.instances = []
        if "-cgi" in words:
            assert self.mode == "Enabled"
            self.instances = [(name, int(start)) for name, start in (item.split(":") for item in words[-2].split(","))]
        return ""


def test_converge() -> None:
    """From no MIG to a layout, again for nothing, to another one, and back to no MIG."""
    card = Card("Disabled")
    gpu.converge(card.run, {"all": ["3g.20gb", "3g.20gb"]})
    assert card.commands == ["nvidia-smi -i 0 -mig 1", "nvidia-smi mig -i 0 -cgi 3g.20gb:0,3g.20gb:4 -C"]
    assert card.instances == [("3g.20gb", 0), ("3g.20gb", 4)]
    assert gpu.converge(card.run, {"all": ["3g.20gb", "3g.20gb"]}) == []
    gpu.converge(card.run, {"0": ["1g.5gb"] * 7})
    assert len(card.instances) == 7
    gpu.converge(card.run, {"0": []})
    assert (card.mode, card.instances) == ("Disabled", [])


def test_converge_gives_up() -> None:
    """A GPU that takes every command and changes nothing is not tried for ever."""
    card = Card("Disabled")
    with pytest.raises(ValueError, match="still differ"):
        gpu.converge(lambda command: card.run(command) if "--query-gpu" in command[1] else "", {"all": ["7g.40gb"]})


SMI = """#!/bin/sh
case "$*" in
  --query-gpu=*) echo "0, NVIDIA A100-SXM4-40GB, 40960, $MODE, $MODE" ;;
  "mig -lgi") if [ "$MODE" = Enabled ]; then cat table; else echo "No MIG-enabled devices found."; exit 6; fi ;;
  -L) cat list ;;
  *) echo "$*: In use by another client"; exit 19 ;;
esac
"""


@pytest.mark.parametrize(
    ("mode", "verb", "layout", "code", "words"),
    [
        ("Enabled", "plan", {"0": ["3g.20gb", "3g.20gb"]}, 0, "[]"),
        ("Enabled", "apply", {"0": ["3g.20gb", "3g.20gb"]}, 0, "[]"),
        ("Disabled", "plan", {"0": ["7g.40gb"]}, 0, "nvidia-smi -i 0 -mig 1"),
        ("Enabled", "apply", {"0": ["7g.40gb"]}, 1, "In use by another client"),
        ("Enabled", "apply", {"3": []}, 1, "names GPU 3"),
    ],
)
def test_program(tmp_path: Path, mode: str, verb: str, layout: dict[str, list[str]], code: int, words: str) -> None:
    """The machine's program, with an ``nvidia-smi`` that prints what the guide prints: answers on stdout, problems with code 1."""
    shutil.copy(REPOSITORY / "roles" / "nvidia" / "files" / "mig.py", tmp_path)
    shutil.copy(REPOSITORY / "src" / "cantiere" / "gpu.py", tmp_path)
    devices = LIST.partition("GPU 1")[0] if mode == "Enabled" else LIST.splitlines()[0]
    for name, text in {"nvidia-smi": SMI, "table": TWO_THREES, "list": devices, "layout.json": json.dumps(layout)}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MODE": mode}
    argv = [sys.executable, "mig.py", verb, "layout.json"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, words in (done.stderr if code else done.stdout)) == (code, True), done
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize("path", ["src/cantiere/gpu.py", "roles/nvidia/files/mig.py"])
def test_machines_may_have_an_older_python(path: str) -> None:
    """What is copied to machines is written in the Python of RHEL 9."""
    ast.parse((REPOSITORY / path).read_text(encoding="utf-8"), feature_version=(3, 9))
