"""The whole facility: used as a physicist does, converged again, changed in one place, grown by a machine; and on a cluster that exists."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cantiere import site as sites
from cantiere import supply
from cantiere.cluster import load
from cantiere.machines.fleet import ARCHITECTURE
from cantiere.machines.growth import PATIENCE
from support.tree import REPOSITORY

if TYPE_CHECKING:
    from system.platform.conftest import Platform

EXISTING = "existing-trial"
KEPT = {"iam", "pool"}
"""Releases that the trial on an existing cluster has; the others would be there twice on one small machine."""
FILLER = "filler"


def test_a_physicist_uses_it(platform: Platform) -> None:
    """Log-in, notebook, reads through all levels, jobs with tokens, refusals, an access point that is killed."""
    found = platform.cantiere.json("verify", *platform.site, code=None)
    for step in found["steps"]:
        print(
            f"\n  {step['name']:20} {step['seconds']:6.1f} s {'ok' if step['ok'] else 'not run' if step['ok'] is None else 'FAILED'}",
            end="",
        )
    failed = {step["name"]: step["evidence"] for step in found["steps"] if step["ok"] is False}
    assert not failed, failed
    done = {step["name"] for step in found["steps"] if step["ok"]}
    wanted = {
        "across",
        "policy",
        "login",
        "spawn",
        "first-read",
        "second-read",
        "tokens-pool",
        "software",
        "analysis",
        "isolation",
        "access-point",
    }
    assert wanted <= done, wanted - done


def test_a_second_run_changes_nothing(platform: Platform) -> None:
    """No release is upgraded, and every pod stays."""
    before = platform.pods()
    assert platform.up(*platform.size)["steps"] == []
    assert platform.pods() == before


def test_one_changed_release_leaves_the_others_alone(platform: Platform) -> None:
    """A changed input upgrades the release that it is for."""
    before = platform.pods()
    for asked in (("--input", "home_size=2 GiB"), ()):  # and back
        assert [step["title"] for step in platform.up(*platform.size, *asked)["steps"]] == ["update release hub"]
    after = platform.pods()
    assert {name: uid for name, uid in after.items() if not name.startswith("hub-")} == {
        name: uid for name, uid in before.items() if not name.startswith("hub-")
    }


def test_waiting_pods_make_a_machine(platform: Platform) -> None:
    """A pod without a place makes a machine, within the pool's limits; asked for, it goes again."""
    assert platform.workspace.cluster is not None
    api = platform.workspace.cluster.api()
    assert api is not None
    nodes, pods, _ = load.look(api)
    free = {node["metadata"]["name"]: 2.0 for node in nodes if node["metadata"]["name"].startswith("worker-")}
    for pod in pods:
        if pod["spec"].get("nodeName") in free and pod["status"]["phase"] == "Running":
            free[pod["spec"]["nodeName"]] -= load.requests(pod["spec"]).get("cpu", 0.0)
    container = {
        "name": "wait",
        "image": "localhost/cantiere/tools:1.37",
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": f"{int(1000 * max(free.values())) + 50}m"}},
    }
    labels = {"app": FILLER}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    filler = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": FILLER, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    platform.apply(filler)
    try:
        time.sleep(PATIENCE + 5)
        began = time.monotonic()
        found = platform.cantiere.json("scale", *platform.site, "--auto")
        assert "worker-3" in found["machines"], found
        platform.kubectl("-n", "default", "wait", f"deploy/{FILLER}", "--for=condition=Available", "--timeout=90s")
        print(f"\n  a machine more, with its pod: {time.monotonic() - began:.0f} s")
    finally:
        platform.kubectl("-n", "default", "delete", "deploy", FILLER)
        gone = platform.cantiere.json("scale", *platform.site, "worker=2")
    assert "worker-3" not in gone["machines"]
    assert "worker-3" not in platform.kubectl("get", "nodes", "-o", "name")


@pytest.fixture
def existing(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """A site whose platform is the cluster that is there, in a namespace of its own, with the same template."""
    given = yaml.safe_load((REPOSITORY / "inventories" / "existing" / "cantiere.yml").read_text())
    cluster = platform.workspace.cluster
    assert cluster is not None and cluster.registry is not None
    names = [row["release"] for row in platform.cantiere.json("status", *platform.site)["releases"]]
    given |= {
        "site": EXISTING,
        "template": str(REPOSITORY / "tosca" / "templates" / "facility.yaml"),
        "inputs": str(REPOSITORY / "inventories" / "nspawn" / "inputs.yml"),
        "provider": {"type": "cluster", "kubeconfig": str(cluster.kubeconfig), "namespace": EXISTING},
        "registry": {"address": cluster.registry.prefix, "ca": str(cluster.registry.ca)},
        "artifacts_file": str(REPOSITORY / "inventories" / "nspawn" / "artifacts.yml"),
        "releases": {name: {"installed": False} for name in names if name not in KEPT and not name.startswith("volumes-")},
        "state_dir": str(tmp_path / "state"),
    }
    site = tmp_path / "cantiere.yml"
    site.write_text(yaml.safe_dump(given))
    yield site
    platform.cantiere.run("down", "--site", str(site))


def test_the_same_template_on_a_cluster_that_exists(platform: Platform, existing: Path) -> None:
    """A pool and its IAM beside the facility, from the same template; gone again without a trace, and the facility untouched."""
    before = platform.pods()
    inputs = ("--input", "volumes=existing", "--input", "workers=1", "--input", "requested_cpus_per_worker=0.05")
    found: dict[str, Any] = platform.cantiere.json("up", "--site", str(existing), *inputs)
    print(f"\n  a pool on a cluster that exists: {found['seconds']} s")
    assert platform.cantiere.json("up", "--site", str(existing), *inputs)["steps"] == []
    pods = json.loads(platform.kubectl("-n", EXISTING, "get", "pods", "-o", "json"))["items"]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/instance"] for pod in pods} == KEPT
    slots = platform.kubectl("-n", EXISTING, "exec", "pool-cm-0", "--", "condor_status", "-af", "Name")
    assert slots.strip(), "no execute point of the pool is there"
    platform.cantiere.run("down", "--site", str(existing))
    platform.kubectl("wait", f"namespace/{EXISTING}", "--for=delete", "--timeout=180s")
    assert platform.pods() == before


def test_the_written_folder_needs_no_program_of_ours(platform: Platform, tmp_path: Path) -> None:
    """Plain helmfile reads all releases in it, and brings one of them to the cluster again without a change to its pods."""
    folder, before = tmp_path / "releases", platform.pods()
    platform.cantiere.run("helmfile", str(folder), *platform.site, *platform.size)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, stored in supply.ensure(("helm", "helmfile"), sites.load(sites.find("nspawn")), ARCHITECTURE, print).items():
        (programs / name).symlink_to(stored.files[0].path)
    cluster = platform.workspace.cluster
    assert cluster is not None
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)}

    def helmfile(*arguments: str) -> str:
        done = subprocess.run(["helmfile", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    listed = {entry["name"] for entry in json.loads(helmfile("list", "--output", "json")) if entry["installed"]}
    assert {"iam", "pool", "hub", "site-cache", "store", "monitoring"} <= listed
    helmfile("sync", "--selector", "name=iam")
    assert platform.pods() == before
    assert platform.up(*platform.size)["steps"] == []
