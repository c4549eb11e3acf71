"""What the facility's namespace may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.values import policies
from support.addons import compiled, facility, held, wrong

PLAIN = "  limits:\n    type: cantiere.nodes.NamespacePolicies\n"
LIMITED = PLAIN + (
    "    properties: {max_cpus: 64, max_memory: 256 GiB, max_storage: 10 TiB, max_pods: 500, max_gpus: 0, shut: true, priorities: false}\n"
)


@pytest.mark.parametrize("nodes", [PLAIN, LIMITED], ids=["plain", "limited"])
def test_values_have_a_place(tmp_path: Path, nodes: str) -> None:
    assert wrong(tmp_path, nodes) == []
    held(compiled(tmp_path, nodes))


def test_only_what_is_set_is_limited(tmp_path: Path) -> None:
    (plain,) = compiled(tmp_path, PLAIN).values()
    assert plain.namespace == "facility" and plain.values["quota"] == {} and plain.values["shut"] is False
    (limited,) = compiled(tmp_path, LIMITED).values()
    assert limited.values["quota"] == {
        "requests.cpu": "64",
        "requests.memory": "256Gi",
        "requests.storage": "10Ti",
        "pods": "500",
        "requests.nvidia.com/gpu": "0",
    }


def test_people_come_before_batch(tmp_path: Path) -> None:
    (plain,) = compiled(tmp_path, PLAIN).values()
    values = {name: one["value"] for name, one in plain.values["priorities"].items()}
    assert values["facility-services"] > values["facility-interactive"] > values["facility-batch"] > 0
    assert plain.values["priorities"]["facility-batch"]["preempts"] is False
    assert set(plain.owns) == {f"PriorityClass/{name}" for name in values}
    assert policies.needs(facility(tmp_path, PLAIN)) == ("namespace-policies",)
    assert policies.needs(facility(tmp_path, LIMITED)) == () and compiled(tmp_path, LIMITED)["namespace-policies"].owns == ()


def test_two_are_refused(tmp_path: Path) -> None:
    assert wrong(tmp_path, PLAIN + PLAIN.replace("limits:", "more:")) == ["policies.several more"]
