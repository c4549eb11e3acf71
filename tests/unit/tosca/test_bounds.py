"""Whatever a MiB of input is, it is read or refused in less than a second of CPU time and 200 MB."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count, takewhile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
from cantiere.tosca.document import UNIT
from support.templates import HEAD

SECONDS = 1.0
MEGABYTES = 200
NODES = f"{HEAD}topology_template:\n  node_templates:\n"
INPUTS = f"{HEAD}topology_template:\n  inputs:\n"
OUTPUTS = f"{HEAD}topology_template:\n  outputs:\n"
MODERN = "tosca_definitions_version: tosca_2_0\nservice_template:\n"
ONE = f"{NODES}    m: {{type: Root}}\n    n:\n      type: Root\n      requirements:\n"
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
MERGES = "m0: &m0 {a: 1}\n" + "".join(f"m{n}: &m{n} {{<<: [{','.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}\n" for n in range(1, 400))
PUZZLE = (
    "    n{n}: {{type: Compute, requirements: [dependency: {{node: Compute, node_filter: {{capabilities: [host: {{properties: "
    "[num_cpus: {{in_range: [{n}, {n}]}}]}}]}}}}], capabilities: {{host: {{properties: {{num_cpus: {n}}}}}}}}}\n"
)


def filled(head: str, unit: str, tail: str = "", size: int = UNIT) -> str:
    """A head, as many of a unit as there is room for, and a tail."""
    return head + unit * ((size - len(head.encode()) - len(tail)) // len(unit.encode())) + tail


def numbered(head: str, line: Callable[[int], str], size: int = UNIT) -> str:
    """A head, and as many numbered lines as there is room for."""
    left = [size - len(head)]

    def fits(text: str) -> bool:
        left[0] -= len(text)
        return left[0] >= 0

    return head + "".join(takewhile(fits, (line(number) for number in count())))


HOSTILE = {
    "alias bomb": HEAD + BOMB,
    "bomb of merges": HEAD + MERGES,
    "a wide mapping merged often": numbered(
        HEAD + "b: &b {" + ",".join(f"k{n}: 1" for n in range(9000)) + "}\n", lambda n: f"x{n}: {{<<: *b}}\n"
    ),
    "nested flow sequences": filled(f"{HEAD}metadata: ", "["),
    "nested flow mappings": filled(f"{HEAD}metadata: ", "{a: "),
    "nested block sequences": filled(f"{HEAD}metadata:\n", "- "),
    "nested block mappings": numbered(HEAD, lambda n: f"{' ' * n}a:\n"),
    "one flow sequence": filled(f"{HEAD}metadata: {{a: [", "a,", "]}"),
    "a flow sequence of empty mappings": filled(f"{HEAD}metadata: {{a: [", "{},", "]}"),
    "one scalar": filled(f"{HEAD}description: ", "a"),
    "one quoted scalar of escapes": filled(f'{HEAD}description: "', "\\x41", '"'),
    "one scalar of many lines": filled(f"{HEAD}description: >\n", "  a\n\n"),
    "one number": filled(f"{HEAD}metadata: {{a: ", "9", "}"),
    "one key": filled(f"{HEAD}? ", "a", ": 1\n"),
    "tabs": filled(HEAD, "\t"),
    "unknown keywords": numbered(HEAD, lambda n: f"a{n}: 1\n"),
    "duplicate keys": filled(f"{HEAD}metadata:\n", " a: 1\n"),
    "documents": filled(HEAD, "---\n"),
    "directives": filled("", "%TAG ! tag:x,2000:\n", "--- a\n"),
    "types": numbered(f"{HEAD}node_types:\n", lambda n: f"  n{n}: {{derived_from: Root}}\n"),
    "nodes of no type": numbered(NODES, lambda n: f"    n{n}: {{type: Rot}}\n"),
    "nodes": numbered(NODES, lambda n: f"    n{n}: {{type: Compute}}\n"),
    "one node that requires another often": filled(ONE, "       - dependency: m\n"),
    "filters that fit nobody, too many": numbered(NODES, lambda n: PUZZLE.format(n=n)),
    "filters that fit nobody": numbered(NODES, lambda n: PUZZLE.format(n=n), UNIT // 2),
    "patterns": numbered(INPUTS, lambda n: f"    i{n}: {{type: string, default: {'a' * 11}, constraints: [pattern: '(a|aa)+{n}?']}}\n"),
    "constraints": filled(f"{INPUTS}    o: {{type: integer, default: 1, constraints: [", "in_range: [1,2],", "]}", UNIT // 2),
    "outputs": numbered(OUTPUTS, lambda n: f"    o{n}: {{value: {{get_attribute: [n, x]}}}}\n", UNIT // 2),
    "calls of 2.0 in one mapping": numbered(f"{MODERN}  metadata:\n", lambda n: f"    $a{n}: 1\n"),
    "conditions of 2.0": filled(
        f"{MODERN}  inputs:\n    o: {{type: integer, default: 1, validation: {{$and: [", "{$equal: [$value, 1]},", "]}}"
    ),
    "a long concat": filled(f"{OUTPUTS}    o: {{value: {{concat: [", "a,", "]}}", UNIT // 4),
}
PIECES = [*"[]{},:?-|>&*!%'\"#~<a1 \n\t\\\r", ": ", "- ", "a: ", "  ", "&a ", "*a ", "é", "\u2028"]
MEASURE = """\
import json, re, sys, time
from pathlib import Path
from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
begin = time.process_time()
try:
    load(Path(sys.argv[1]))
except TemplateError:
    pass
used = time.process_time() - begin
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())  # of this program alone, unlike getrusage
print(json.dumps([used, int(peak[1]) / 1024]))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(HOSTILE[name], encoding="utf-8", newline="")
    assert path.stat().st_size <= UNIT
    for _ in range(3):  # a busy machine makes CPU time longer too: the limit has to hold once
        done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
        seconds, memory = json.loads(done.stdout)
        assert memory < MEGABYTES
        if seconds < SECONDS:
            return
    raise AssertionError(f"{name}: {seconds:.2f} s")


@settings(max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([HEAD, f"{HEAD}metadata: ", f"{HEAD}metadata: {{a: [", NODES, f"{HEAD}description: >\n  "]),
    unit=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8),
)
def test_any_text_that_repeats(tmp_path: Path, head: str, unit: list[str]) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(filled(head, "".join(unit)), encoding="utf-8", newline="")
    best = 10.0
    for _ in range(3):
        begin = time.process_time()
        try:
            load(path)
        except TemplateError as error:
            assert error.problems
        best = min(best, time.process_time() - begin)
        gc.collect()
        if best < SECONDS:
            return
    raise AssertionError(f"{unit!r}: {best:.2f} s")
