"""What ``facility.yaml`` means, as JSON. To accept a change: ``CANTIERE_GOLDEN=write pytest tests/golden``, and read the difference."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cantiere.tosca.compile import load

CASES = {"facility": {}, "facility_large": {"workers": "40", "cpus_per_worker": 8, "cvmfs": "true", "demo_users": "{alice: [/cms]}"}}


@pytest.mark.parametrize("name", CASES)
def test_facility(repository: Path, name: str) -> None:
    loaded = load(repository / "tosca" / "templates" / "facility.yaml", CASES[name])
    facility = loaded.facility
    found = {
        "name": facility.name,
        "description": facility.description,
        "nodes": [
            {"name": node.name, "type": node.type, "properties": dict(node.properties), "requirements": dict(node.requirements)}
            for node in facility.nodes
        ],
        "outputs": dict(facility.outputs),
        "warnings": [str(warning) for warning in loaded.warnings],
    }
    text = json.dumps(found, indent=2) + "\n"
    golden = repository / "tests" / "golden" / f"{name}.json"
    if os.environ.get("CANTIERE_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
