"""Types, services, images and pins name each other, with none left over on either side."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cantiere.services.catalogue import GROUND, SERVICES
from cantiere.values.catalogue import COMPILERS
from support.tree import REPOSITORY, load, name

ABSTRACT = {*GROUND, "cantiere.nodes.Service", "cantiere.nodes.ClusterService", "cantiere.nodes.Volumes", "cantiere.nodes.Machine"}
TEMPLATES = sorted((REPOSITORY / "tosca" / "templates").glob("*.yaml"))


def test_images_are_pinned() -> None:
    """Every image of artifacts.yaml has its folder, and every folder its pin."""
    pinned = {entry.get("folder", name) for name, entry in load(REPOSITORY / "artifacts.yaml")["images"].items()}
    folders = {path.parent.name for path in (REPOSITORY / "images").glob("*/Containerfile")}
    assert pinned == folders, f"only in artifacts.yaml: {pinned - folders}; only in images/: {folders - pinned}"


def test_types_have_services() -> None:
    """Every concrete node type of the profile has a module, and every module its type."""
    declared = {node for path in (REPOSITORY / "tosca" / "types").glob("*.yaml") for node in load(path).get("node_types", {})}
    concrete = {node for node in declared - ABSTRACT if node.startswith("cantiere.")}
    modules = {*SERVICES, *COMPILERS}
    assert concrete == modules, f"no module: {concrete - modules}; no type: {modules - concrete}"


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_template_is_valid(template: Path) -> None:
    """Every template of ours passes ``cantiere validate``."""
    command = [sys.executable, "-m", "cantiere", "validate", str(template), "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name(template)}: {done.stdout}{done.stderr}"
    assert json.loads(done.stdout).get("errors", []) == []
