"""All add-ons together: who comes first, who owns what, and that the how-to guide shows what works."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.values import units
from cantiere.values.declared import declared
from cantiere.values.model import PLACEHOLDER
from support.addons import LARGE, SMALL, compiled, context, facility, held, wrong
from support.tree import REPOSITORY

GUIDE = REPOSITORY / "docs" / "how-to" / "cluster-add-ons.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)


def guide(number: int) -> str:
    """The node templates of an example, as :func:`support.addons.facility` takes them."""
    nodes = {
        name: {key: value for key, value in node.items() if key != "requirements"}
        for name, node in yaml.safe_load(EXAMPLES[number]).items()
    }
    return "".join(
        f"  {name}:\n    type: {node['type']}\n" + (f"    properties: {flow(node['properties'])}\n" if "properties" in node else "")
        for name, node in nodes.items()
        if node["type"] != "cantiere.nodes.MachinePool"
    )


def flow(value: Any) -> str:
    """YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()


@pytest.mark.parametrize("machines", [SMALL, LARGE, {}], ids=["small", "large", "existing"])
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_guide(tmp_path: Path, number: int, machines: dict[str, int]) -> None:
    """What the guide shows is valid, and its values have a place."""
    nodes = guide(number)
    refused = [text for text in wrong(tmp_path, nodes, **machines) if "prometheus" not in text]
    assert refused == []
    held(compiled(tmp_path, nodes, **machines))


def test_whole(tmp_path: Path) -> None:
    """Every release is installed after what it needs, and every cluster-scoped object has one owner."""
    nodes = guide(0) + "  monitoring:\n    type: cantiere.nodes.Monitoring\n"
    assert wrong(tmp_path, nodes, **LARGE) == []
    releases = compiled(tmp_path, nodes, **LARGE)
    done: set[str] = set()
    for name, release in releases.items():
        assert set(release.needs) <= done, f"{name} comes before {set(release.needs) - done}"
        done.add(name)
    owners = Counter(owned for release in releases.values() if release.installed for owned in release.owns)
    assert [owned for owned, count in owners.items() if count > 1] == []
    assert {"IngressClass/default", "StorageClass/default"} <= owners.keys()
    definitions = releases["prometheus-operator-crds"]
    assert definitions.owns
    order = list(releases)
    for name in ("traefik", "cert-manager", "metrics-server", "keda", "longhorn", "metallb", "gpu-operator"):
        assert order.index("prometheus-operator-crds") < order.index(name), f"the ServiceMonitors of {name} need their definition"


def test_facts_that_the_template_decides(tmp_path: Path) -> None:
    """The first run, on a bare cluster, compiles the same values as the second, on what it made."""
    nodes = guide(0) + "  monitoring:\n    type: cantiere.nodes.Monitoring\n"
    bare = replace(
        PLACEHOLDER,
        storage_class="",
        shared_storage_class="",
        storage_classes={},
        ingress_class="",
        ingress_address="",
        gateway="",
        issuer="",
        zone="",
    )
    first = context(facility(tmp_path, nodes, **LARGE), bare).cluster
    assert (first.storage_class, first.shared_storage_class, first.ingress_class, first.issuer) == (
        "block",
        "shared",
        "traefik",
        "facility",
    )
    assert first.zone == "facility.example.org"
    found = facility(tmp_path, nodes, **LARGE)
    assert declared(first, found) == first
    values = [{name: release.values for name, release in compiled(tmp_path, nodes, facts, **LARGE).items()} for facts in (bare, first)]
    assert values[0] == values[1]


def test_nothing_is_decided_where_nothing_is_declared(tmp_path: Path) -> None:
    assert context(facility(tmp_path, "  iam:\n    type: cantiere.nodes.IAM\n")).cluster == PLACEHOLDER


@pytest.mark.parametrize(
    ("size", "written"), [(10 << 30, "10Gi"), (1536 << 20, "1536Mi"), (1 << 40, "1Ti"), (1000, "1000"), (0, "0"), (2048, "2Ki")]
)
def test_quantity(size: int, written: str) -> None:
    assert units.quantity(size) == written


@pytest.mark.parametrize(("time", "written"), [(604800.0, "7d"), (5400.0, "90m"), (5.0, "5s"), (0.5, "500ms"), (3600, "1h"), (0, "0s")])
def test_duration(time: float, written: str) -> None:
    assert units.duration(time) == written
