"""``cantiere values`` and the filter of the same name: what they show."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.cli import main
from cantiere.errors import CantiereError
from cantiere.kubernetes.text import plain
from cantiere.values_verbs import helm_values, text, words
from support.tree import REPOSITORY

TEMPLATE = REPOSITORY / "tests" / "unit" / "values" / "data" / "few.yaml"
SITE = """
plugin: cantiere
site: unit-test
template: {template}
platform: cluster
provider: {{type: cluster, kubeconfig: nowhere}}
state_dir: {state}
releases:
  iam: {{values_overrides: {{storage: {{size: 3Gi}}}}}}
  site-cache: {{installed: false}}
"""


@pytest.fixture
def site(tmp_path: Path) -> str:
    """A site that says something of its releases, and whose cluster does not answer."""
    path = tmp_path / "cantiere.yml"
    path.write_text(SITE.format(template=TEMPLATE, state=tmp_path / "state"), encoding="utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the verb."""
    code = main(["values", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_list(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--site", site, "--placeholder")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0 and "placeholders" in err
    assert rows[0] == ["RELEASE", "NAMESPACE", "CHART", "VERSION", "NODE", "NEEDS"]
    assert ["iam", "facility", "devel-iam"] in [row[:3] for row in rows]
    assert any(row[0] == "site-cache" and row[-2:] == ["(not", "installed)"] for row in rows)


def test_list_as_json(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(capsys, "--site", site, "--placeholder", "--json")
    told = json.loads(out)
    assert err == "" and told["placeholder"] is True
    assert {"name", "namespace", "chart", "version", "node", "needs", "installed"} == set(told["releases"][0])


def test_values_with_what_the_site_says(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--site", site, "--placeholder", "iam")
    assert yaml.safe_load(out)["storage"]["size"] == "3Gi"
    _, as_json, _ = run(capsys, "--site", site, "--placeholder", "iam", "--json")
    assert json.loads(as_json)["values"] == yaml.safe_load(out)


def test_a_template_before_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, str(TEMPLATE), "iam")
    assert code == 0 and "no cluster that can be asked" in err
    assert yaml.safe_load(out)["storage"]["size"] != "3Gi"


def test_why(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--site", site, "--placeholder", "iam", "--why", "--json")
    told = json.loads(out)
    assert told["why"]["storage.size"] == ["site.releases.iam.values_overrides"]
    assert told["why"]["image.repository"] == ["cluster.registry"]
    assert told["unjudged"] == []
    _, lines, _ = run(capsys, "--site", site, "--placeholder", "iam", "--why")
    assert 'storage.size: "3Gi"  # site.releases.iam.values_overrides' in lines.splitlines()
    assert len(lines.splitlines()) == len([path for path in told["why"]])


def test_every_release_can_be_explained(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, listed, _ = run(capsys, "--site", site, "--placeholder", "--json")
    for name in [row["name"] for row in json.loads(listed)["releases"] if row["installed"]]:
        code, out, _ = run(capsys, "--site", site, "--placeholder", name, "--why", "--json")
        assert code == 0
        assert all(origins for origins in json.loads(out)["why"].values())


def test_an_unknown_release(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--site", site, "--placeholder", "imm")
    assert code == 1 and out == "" and "release.unknown" in err and "iam" in err


def test_a_cluster_that_does_not_answer_is_no_placeholder(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--site", site)
    assert code != 0 and out == "" and "remedy" in err


@pytest.mark.parametrize(
    ("given", "release", "template"),
    [
        ((None, None), None, None),
        (("pool", None), "pool", None),
        (("a.yaml", None), None, "a.yaml"),
        (("a.yml", "pool"), "pool", "a.yml"),
    ],
)
def test_words(given: tuple[str | None, str | None], release: str | None, template: str | None) -> None:
    options = argparse.Namespace(template=Path(given[0]) if given[0] else None, release=given[1])
    words(options)
    assert (options.release, options.template) == (release, Path(template) if template else None)


def test_values_are_written_plainly() -> None:
    shared: dict[str, Any] = {"a": (1, 2)}
    assert text({"b": shared, "c": shared}) == "b:\n  a:\n  - 1\n  - 2\nc:\n  a:\n  - 1\n  - 2\n", "no anchors"
    assert text({}) == "{}\n" and plain({1: ()}) == {"1": []}


def test_filter(repository: Path) -> None:
    made = helm_values("iam", template=str(TEMPLATE))
    assert made["storage"]["storageClassName"]
    with pytest.raises(CantiereError, match=r"release\.unknown"):
        helm_values("imm", template=str(TEMPLATE))
    entry = (repository / "filter_plugins" / "helm_values.py").read_text(encoding="utf-8")
    assert '"helm_values": helm_values' in entry
