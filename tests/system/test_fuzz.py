"""Fuzz: the front end reads mutated templates for half a minute, and never crashes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.tree import REPOSITORY

SECONDS = 30
WORDS = (
    "tosca_definitions_version: tosca_simple_yaml_1_3|tosca_2_0|topology_template:|service_template:|node_templates:|inputs:|outputs:|"
    "node_types:|data_types:|derived_from:|requirements:|capabilities:|node_filter:|properties:|policies:|groups:|workflows:|steps:|"
    "interfaces:|artifacts:|substitution_mappings:|constraints:|in_range:|pattern:|valid_values:|get_input|get_property|get_attribute|"
    "concat|token|join|$get_input|validation:|occurrences:|imports:|<<: *a|&a |UNBOUNDED|SELF|HOST"
).split("|")


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python and machine")
def test_no_input_crashes_the_front_end(tmp_path: Path) -> None:
    """Templates and types of the project are the beginning; a crash leaves its input in the folder and in the message."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for source in (REPOSITORY / "tosca").rglob("*.yaml"):
        (corpus / source.name).write_bytes(source.read_bytes())
    words = tmp_path / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS), encoding="utf-8")
    program = REPOSITORY / "tests" / "support" / "fuzzing.py"
    limits = (f"-max_total_time={SECONDS}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", "-print_final_stats=1")
    command = [sys.executable, str(program), str(corpus), f"-dict={words}", f"-artifact_prefix={tmp_path}/", *limits]
    inside = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=inside, capture_output=True, text=True, errors="replace", timeout=SECONDS + 60, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    runs = next(line for line in done.stderr.splitlines() if "number_of_executed_units" in line)
    print(runs)
    assert int(runs.split(":")[-1]) > 100
