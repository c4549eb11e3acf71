"""Directives of node templates (TOSCA Simple Profile 1.3, 3.4.3; TOSCA 2.0, 8.1)."""

from __future__ import annotations

import pytest

from support.templates import Loader, template


@pytest.mark.parametrize(
    ("written", "codes", "word"),
    [
        ("directives: [create]", [], ""),
        ("directives: []", [], ""),
        ("directives: [select]", ["node.unsupported"], "taken from what exists"),
        ("directives: [select], node_filter: {properties: [{speed: {equal: 1}}]}", ["node.unsupported"], "taken from what exists"),
        ("directives: [selectable]", ["node.unsupported"], "taken from what exists"),
        ("directives: [substitute, create]", ["node.unsupported"], "another template"),
        ("directives: [substitutable]", ["node.unsupported"], "another template"),
        ("directives: [creat]", ["node.directive"], "Did you mean 'create'?"),
        ("directives: [external]", ["node.directive"], "Use one of: create, select"),
        ("directives: [{select: 1}]", ["node.directive"], "Use one of"),
        ("directives: select", ["grammar.shape"], "list"),
        ("node_filter: {properties: [{speed: {equal: 1}}]}", ["node.unsupported"], "requirement"),
    ],
)
def test_3_4_3_directives(tosca: Loader, written: str, codes: list[str], word: str) -> None:
    problems = tosca.problems(template(f"    s: {{type: t.Server, {written}}}\n"))
    assert [problem.code for problem in problems] == codes
    assert all(word in problem.message + problem.remedy and problem.where is not None and problem.where.line for problem in problems)
