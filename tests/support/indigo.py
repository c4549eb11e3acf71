"""Templates of the INDIGO dialect: those that are public, small ones made up for a rule, and the plan of what they mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cantiere import artifacts, catalogue
from cantiere.cluster import plan as releases
from cantiere.cluster.model import ClusterSeen, ClusterWanted
from cantiere.machines import plan as machines
from cantiere.machines import wanted
from cantiere.machines.plan import FleetSeen, FleetWanted
from cantiere.model import Facility
from cantiere.services.facts import Facts
from cantiere.values.catalogue import compile_all
from cantiere.values.declared import declared
from cantiere.values.model import PLACEHOLDER, Context
from support.tree import REPOSITORY

PUBLIC = REPOSITORY.parent / "shared" / "data" / "tosca"
TEMPLATES = {
    "CMS-XCache-k8s.yaml": "indigo-dc__tosca-templates__dodas__",
    "daskhub.yaml": "grycap__tosca__templates__",
    "htcondor_cluster.yml": "grycap__tosca__templates__",
    "k8s_cluster.yaml": "indigo-paas__tosca-templates__kubernetes__",
    "kubernetes.yaml": "grycap__tosca__templates__",
    "kubernetes_elastic.yaml": "grycap__tosca__templates__",
}
INPUTS = {"k8s_cluster.yaml": {"admin_token": "unused", "frontend_dns_name": "k8s.example.org", "dyn_dns_service_token": "unused"}}
"""Inputs that a template has no default for."""

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_0\nimports:\n  - theirs: https://example.org/types/custom_types.yaml\n"


def public(folder: Path) -> Path:
    """The public templates in a folder, by the names that they have in their repositories."""
    if not PUBLIC.is_dir():
        pytest.skip(f"the public templates are not here: {PUBLIC}")
    for name, prefix in TEMPLATES.items():
        shutil.copy(PUBLIC / f"{prefix}{name}", folder / name)
    return folder


def written(nodes: str, inputs: str = "", outputs: str = "", head: str = HEAD) -> str:
    """A template of the dialect: node templates, inputs and outputs, each indented by four spaces."""
    parts = [(key, text) for key, text in (("inputs", inputs), ("node_templates", nodes), ("outputs", outputs)) if text]
    return f"{head}topology_template:\n" + "".join(f"  {key}:\n{text.rstrip()}\n" for key, text in parts)


def steps(facility: Facility) -> list[str]:
    """The steps that a site with machines would take for a facility, where nothing is there yet."""
    assert catalogue.check(facility, "kubernetes") == []
    asked = wanted.machines(facility)
    network = wanted.Network()
    assert wanted.check(facility, network) == []
    leader = next(machine.name for machine in asked if machine.controls)
    fleet = FleetWanted("cantiere-x", asked, {machine.name: {"base": "1"} for machine in asked}, (), "1.36.3", leader)
    facts = declared(PLACEHOLDER, facility)
    paths = {"samples": "/samples", "engine": "", "cvmfs": "/cvmfs"}
    services = Facts(facility, "facility.svc.cluster.local", paths, "", "", "x", artifacts.references())
    tags = dict.fromkeys(artifacts.catalogue(), "1")
    compiled = compile_all(Context(facility, facts, services, "facility", tags))
    cluster = ClusterWanted("cantiere-x", facts, compiled, {release.name: "1" for release in compiled}, {}, {})
    found = (*machines.build(fleet, FleetSeen()).steps, *releases.build(cluster, ClusterSeen()).steps)
    return [step.id for step in found]
