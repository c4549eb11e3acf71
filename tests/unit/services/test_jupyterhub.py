"""The hub and its guard as containers, and the spawn page."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import Location
from cantiere.model import Facility, Mount, Node
from cantiere.services import cvmfs, htcondor, iam, jupyterhub, minio, xrootd
from cantiere.services.facts import Facts
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/jupyterhub"))
sys.path.insert(0, str(REPOSITORY / "images/analysis"))
from cantiere_hub import form
from cantiere_notebook import agent, extensions

WHERE = Location("facility.yaml", 1, 1)
ANALYSIS = "localhost/cantiere/analysis:1"
GIB = 1 << 30


def hub_node(requirements: dict[str, tuple[str, ...]] | None = None, **properties: Any) -> Node:
    values = {
        "images": [{"title": "Analysis (coffea)", "image": "analysis"}],
        "typed_images": True,
        "max_cpus": 2,
        "max_memory": 4 * GIB,
        "max_gpus": 0,
        "allowed_groups": ["/cms"],
        "admin_groups": [],
    }
    return Node("hub", jupyterhub.TYPE, values | properties, {"issuer": ("iam",)} | (requirements or {}), WHERE)


def facts(hub: Node, engine: str = "podman", cvmfs_enabled: bool = False, issuer_url: str = "") -> Facts:
    nodes = (
        Node("iam", iam.TYPE, {"issuer_url": issuer_url, "client_id": "hub", "client_secret": "generate:password", "users": {}}, {}, WHERE),
        Node("pool", htcondor.TYPE, {}, {"issuer": ("iam",)}, WHERE),
        Node("site-cache", xrootd.CACHE, {}, {"issuer": ("iam",)}, WHERE),
        Node("store", minio.TYPE, {"buckets": ["analysis"]}, {"issuer": ("iam",)}, WHERE),
        Node("software", cvmfs.TYPE, {"enabled": cvmfs_enabled}, {}, WHERE),
        hub,
    )
    paths = {"engine": "/var/lib/x/engine-api", "cvmfs": "/var/lib/x/cvmfs"}
    return Facts(Facility("facility", "", nodes, {}), "here.internal", paths, engine, "here", "here", {"analysis": ANALYSIS})


ALL = {"queue": ("pool",), "cache": ("site-cache",), "store": ("store",), "software": ("software",)}


def test_settings_without_any_service_beside() -> None:
    hub = hub_node()
    bundle = "/tmp/cantiere/ca-bundle.pem"
    assert jupyterhub.settings(hub, facts(hub)) == {
        "url": "https://hub.here.internal:8000",
        "issuer": "https://iam.here.internal:8443",
        "client_id": "hub",
        "scopes": list(jupyterhub.SCOPES),
        "allowed_groups": ["/cms"],
        "admin_groups": [],
        "engine_socket": "/run/guard/engine.sock",
        "idle_timeout": 43200,
        "titles": ["Analysis (coffea)"],
        "notebooks": {
            "images": [ANALYSIS],
            "image_pattern": jupyterhub.REGISTRY_IMAGE,
            "max_cpus": 2,
            "max_memory": 4 * GIB,
            "max_gpus": 0,
            "gpu_driver": "cdi",
            "processes": 4096,
            "prefix": "here",
            "network": "here",
            "user": "1000",
            "home": "/home/jovyan",
            "cvmfs": "",
        },
        "environment": {
            "BEARER_TOKEN_FILE": "/tmp/cantiere/token",
            "X509_CERT_DIR": "/tmp/cantiere/certificates",
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "AWS_CA_BUNDLE": bundle,
            **htcondor.XROOTD_CLIENT,
        },
    }


def test_notebooks_are_told_where_everything_is() -> None:
    hub = hub_node(ALL)
    told = jupyterhub.environment(hub, facts(hub))
    expected = {
        "CANTIERE_SITE_CACHE": "roots://site-cache.here.internal:1094",
        "CANTIERE_POOL_COLLECTOR": "pool-cm.here.internal:9618",
        "CANTIERE_POOL_SCHEDD": "pool-ap.here.internal",
        "S3_ENDPOINT": "https://store.here.internal:9000",
        "S3_ROLE_ARN": minio.role_arn(),
        "S3_BUCKET": "analysis",
        "_CONDOR_AUTH_SSL_CLIENT_CAFILE": "/tmp/cantiere/ca-bundle.pem",
    }
    assert expected.items() <= told.items()
    assert json.loads(json.dumps(told)) == told


def test_the_guard_alone_sees_the_engine() -> None:
    hub = hub_node(ALL)
    guard, served = jupyterhub.containers(hub, facts(hub))
    assert (guard.name, served.name) == ("hub-guard", "hub")
    assert guard.mounts == (Mount("/var/lib/x/engine-api", "/run/engine"), Mount("hub-guard", "/run/guard"))
    assert served.mounts == (Mount("hub-data", "/srv/jupyterhub"), Mount("hub-guard", "/run/guard"))
    assert guard.secrets == ()
    assert guard.settings["notebooks"] == served.settings["notebooks"]
    assert served.needs == ("hub-guard", "iam")
    assert {item.file: item.secret.name for item in served.secrets} == {
        "ca.pem": "facility-ca",
        "hostcert.pem": "host-hub",
        "hostkey.pem": "host-hub",
        "client-secret": "iam-client-hub",
        "crypt-key": "hub-crypt-key",
    }
    assert [port.number for port in served.ports] == [8000]


def test_with_docker_its_socket_is_guarded() -> None:
    hub = hub_node()
    guard, served = jupyterhub.containers(hub, facts(hub, engine="docker"))
    assert guard.mounts[0] == Mount("/run/docker.sock", "/run/engine/engine.sock")
    assert served.settings["notebooks"]["gpu_driver"] == "nvidia"


def test_software_is_mounted_where_it_is_enabled() -> None:
    hub = hub_node(ALL)
    assert jupyterhub.notebooks(hub, facts(hub))["cvmfs"] == ""
    assert jupyterhub.notebooks(hub, facts(hub, cvmfs_enabled=True))["cvmfs"] == "/var/lib/x/cvmfs"


def test_an_external_iam_is_not_waited_for() -> None:
    hub = hub_node()
    served = jupyterhub.containers(hub, facts(hub, issuer_url="https://iam.example.org/"))[1]
    assert served.needs == ("hub-guard",)
    assert served.settings["issuer"] == "https://iam.example.org"


def test_check_names_groups_and_images_that_cannot_be() -> None:
    hub = hub_node(allowed_groups=["cms"], images=[{"title": "x", "image": "some where"}])
    assert [problem.code for problem in jupyterhub.check(hub, facts(hub).facility)] == ["hub.group", "hub.image"]
    assert [problem.code for problem in jupyterhub.check(hub_node(images=[]), facts(hub).facility)] == ["hub.images"]
    assert jupyterhub.check(hub_node(), facts(hub).facility) == []


@pytest.mark.parametrize(
    ("reference", "allowed"),
    [
        ("registry.example.org/group/image:1.0", True),
        ("registry.example.org:5000/image:v1", True),
        (f"registry.example.org/image@sha256:{'a' * 64}", True),
        ("registry.example.org/image", False),
        ("localhost/cantiere/iam:1", False),
        ("localhost:5000/image:1", False),
        ("image:1", False),
        ("registry.example.org/../image:1", False),
        ("registry.example.org/image:1\n", False),
    ],
)
def test_what_may_be_typed_in(reference: str, allowed: bool) -> None:
    assert bool(re.fullmatch(jupyterhub.REGISTRY_IMAGE, reference)) is allowed


LIMITS = form.Limits({ANALYSIS: "Analysis <coffea>", "b:1": "B"}, jupyterhub.REGISTRY_IMAGE, 2, 4 * GIB, 1)


def test_what_is_not_given_is_preselected() -> None:
    assert form.choose({}, LIMITS) == form.Choice(ANALYSIS, 1, 2 * GIB, 0)


def test_answers_of_the_page() -> None:
    answers = {"image": ["b:1"], "typed_image": [""], "cpus": ["2"], "memory": ["1.5"], "gpus": ["1"], "_xsrf": ["x"]}
    options = form.parse(answers, LIMITS)
    assert options == {"image": "b:1", "cpus": "2", "memory": "1.5", "gpus": "1"}
    assert form.choose(options, LIMITS) == form.Choice("b:1", 2, GIB + GIB // 2, 1)


def test_a_typed_image_goes_before_the_selected_one() -> None:
    typed = "registry.example.org/image:2"
    assert form.parse({"image": ["b:1"], "typed_image": [f" {typed} "]}, LIMITS) == {"image": typed}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"memory": "100000"}, "memory 100000 GiB is out of range: choose 0.5 to 4 GiB"),
        ({"memory": "nan"}, "out of range"),
        ({"memory": "-1"}, "out of range"),
        ({"cpus": "3"}, "cpus 3 is out of range: choose 1 to 2"),
        ({"cpus": "1.5"}, "not a whole number"),
        ({"cpus": "inf"}, "not a whole number"),
        ({"cpus": ["1"]}, "not a number"),
        ({"gpus": "2"}, "out of range"),
        ({"image": "not/on:the-list"}, "out of range: choose one of the list, or type in"),
        ({"image": {"$ne": 1}}, "out of range"),
        ({"volumes": "/"}, "unknown option volumes"),
    ],
)
def test_options_out_of_range_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        form.choose(option, LIMITS)


def test_nothing_may_be_typed_in_where_it_is_off() -> None:
    closed = form.Limits({ANALYSIS: "A"}, "", 2, 4 * GIB, 0)
    assert "typed_image" not in form.page(closed)
    with pytest.raises(ValueError, match=r"choose one of the list$"):
        form.choose({"image": "registry.example.org/image:2"}, closed)


def test_memory_is_never_more_than_allowed() -> None:
    odd = form.Limits({ANALYSIS: "A"}, "", 1, 3 * GIB - 1, 0)
    assert odd.max_gib == 2.9
    assert form.choose({"memory": "2.9"}, odd).memory <= odd.max_memory


def test_the_page_escapes_titles_and_labels_every_field() -> None:
    page = form.page(LIMITS)
    assert "Analysis &lt;coffea&gt;" in page
    fields = set(re.findall(r'name="(\w+)"', page))
    assert fields == {"image", "typed_image", "cpus", "memory", "gpus"} == set(re.findall(r'for="(\w+)"', page))


SIZES = form.Limits(
    {ANALYSIS: "A"},
    "",
    2,
    4 * GIB,
    0,
    (form.Profile("Large", 16, 64 * GIB, 1), form.Profile("Ours", 4, 8 * GIB, 0, ("/cms/analysis",))),
    {"LCG 108": "/cvmfs/sft.cern.ch/lcg/views/LCG_108/x86_64-el9-gcc13-opt/setup.sh"},
)


def test_a_profile_goes_before_the_numbers() -> None:
    answers = {"image": [ANALYSIS], "size": ["Large"], "cpus": ["1"], "memory": ["2"], "gpus": ["0"], "stack": ["LCG 108"]}
    options = form.parse(answers, SIZES)
    assert options == {"image": ANALYSIS, "size": "Large", "stack": "LCG 108"}
    assert form.choose(options, SIZES) == form.Choice(ANALYSIS, 16, 64 * GIB, 1, "Large", "LCG 108")
    assert form.choose({"size": "", "cpus": 2}, SIZES) == form.Choice(ANALYSIS, 2, 2 * GIB, 0)


@pytest.mark.parametrize("option", [{"size": "Huge"}, {"stack": "/home/jovyan/evil.sh"}, {"size": ["Large"]}])
def test_what_is_not_on_a_list_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not on the list"):
        form.choose(option, SIZES)


def test_profiles_are_for_their_groups() -> None:
    member, guest = SIZES.of(["/cms", "/cms/analysis"]), SIZES.of(["/cms"])
    assert form.choose({"size": "Ours"}, member).cpus == 4
    assert "Ours" in form.page(member) and "Ours" not in form.page(guest)
    with pytest.raises(ValueError, match="'Ours' is not on the list"):
        form.choose({"size": "Ours"}, guest)


def test_every_field_of_the_longest_page_has_a_label() -> None:
    page = form.page(SIZES)
    fields = set(re.findall(r'name="(\w+)"', page))
    assert fields == {"image", "stack", "size", "cpus", "memory", "gpus"} == set(re.findall(r'for="(\w+)"', page))
    assert "Large (16 cores, 64 GiB, 1 GPU)" in page


def test_where_a_choice_runs() -> None:
    own = {"gpu": "nvidia.com/mig-3g.20gb", "node_selector": {"cantiere.io/pool": "gpu"}, "tolerations": [{"key": "gpu"}]}
    settings = {"profiles": [{"title": "Large", "placement": own}], "gpu_placement": {"gpu": "nvidia.com/gpu"}}
    assert form.placement(form.choose({"size": "Large"}, SIZES), settings) == own
    assert form.placement(form.Choice("i", 1, GIB, 1), settings) == {"gpu": "nvidia.com/gpu"}
    assert form.placement(form.Choice("i", 1, GIB, 0), settings) == {"gpu": "", "node_selector": {}, "tolerations": []}


def test_stacks_are_told_where_there_are_any() -> None:
    stack = {"title": "LCG 108", "script": "/cvmfs/sft.cern.ch/setup.sh"}
    hub = hub_node({"software": ("software",)}, software_stacks=[stack])
    assert jupyterhub.settings(hub, facts(hub))["stacks"] == [stack]
    assert "stacks" not in jupyterhub.settings(hub_node(), facts(hub_node()))
    assert jupyterhub.check(hub, facts(hub).facility) == []
    alone = hub_node(software_stacks=[stack])
    assert [problem.code for problem in jupyterhub.check(alone, facts(alone).facility)] == ["hub.stack"]


def test_oidc_agent_is_told_the_issuer_first_and_keeps_the_user_s_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("CANTIERE_ISSUER", raising=False)
    agent.introduce()
    assert not (tmp_path / "issuer.config").exists()
    (tmp_path / "issuer.config").write_text("https://other.test/ contact\nhttps://iam.test old\n", encoding="utf-8")
    monkeypatch.setenv("CANTIERE_ISSUER", "https://iam.test")
    for _ in range(2):
        agent.introduce()
        assert (tmp_path / "issuer.config").read_text(encoding="utf-8") == "https://iam.test\nhttps://other.test/ contact\n"


RUCIO = {"rucio_url": "https://rucio.example.org", "rucio_auth_url": "https://rucio-auth.example.org"}


def told(monkeypatch: pytest.MonkeyPatch, folder: Path, *there: str, **lab_extensions: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    """What a notebook whose image has these extensions writes for its server, and which parts of the page are off."""
    hub = hub_node(lab_extensions=lab_extensions)
    for name, value in jupyterhub.environment(hub, facts(hub)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(folder / "token"))
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    monkeypatch.setattr(extensions, "find_spec", lambda name: name in there or None)
    extensions.settle()
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", os.environ.get("JUPYTER_CONFIG_PATH", ""))  # to be put back
    server, page = folder / "jupyter" / "jupyter_server_config.json", folder / "jupyter" / "labconfig" / "page_config.json"
    if not server.is_file():
        return {}, {}
    assert os.environ["JUPYTER_CONFIG_PATH"] == str(folder / "jupyter")
    return json.loads(server.read_text()), json.loads(page.read_text())["disabledExtensions"]


def test_extensions_know_their_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server, off = told(monkeypatch, tmp_path, "rucio_jupyterlab", "reana_jupyterlab", "zenodo_jupyterlab", **RUCIO, zenodo=True)
    assert server["ServerApp"]["jpserver_extensions"] == {
        "rucio_jupyterlab.server": True,
        "reana_jupyterlab.server": False,
        "zenodo_jupyterlab": True,
    }
    assert off == {"rucio-jupyterlab": False, "reana_jupyterlab": True, "zenodo_jupyterlab": False}
    (instance,) = server["RucioConfig"]["instances"]
    assert (instance["rucio_base_url"], instance["rucio_auth_url"]) == (RUCIO["rucio_url"], RUCIO["rucio_auth_url"])
    assert (instance["oidc_auth"], instance["oidc_file_name"]) == ("file", "/tmp/cantiere/token"), "the token that the notebook has"
    assert server["RucioConfig"]["default_instance"] == instance["name"] == "rucio.example.org"


def test_images_without_extensions_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert told(monkeypatch, tmp_path, **RUCIO) == ({}, {})


def test_reana_reads_the_environment() -> None:
    hub = hub_node(lab_extensions={"reana_url": "https://reana.example.org"})
    found = jupyterhub.environment(hub, facts(hub))
    assert (found["REANA_SERVER_URL"], found["REANA_ALLOWED_SERVER_HOSTS"]) == ("https://reana.example.org", "reana.example.org")
    assert not [name for name in found if name.startswith("RUCIO_")]
    assert not [name for name in jupyterhub.environment(hub_node(), facts(hub)) if "REANA" in name or "EXTENSIONS" in name]


@pytest.mark.parametrize(
    ("requirements", "images", "lab_extensions", "problems"),
    [
        ({}, ["lab-extensions"], RUCIO, 0),
        ({}, ["registry.example.org/notebooks/vre:1"], {"zenodo": True}, 0),
        ({}, ["analysis"], {"zenodo": True}, 1),
        ({"catalogue": ("rucio",)}, ["lab-extensions"], RUCIO, 1),
        ({"workflows": ("reana",)}, ["analysis"], {"reana_url": "https://reana.example.org"}, 2),
        ({"workflows": ("reana",)}, ["lab-extensions"], {}, 0),
    ],
)
def test_extensions_need_an_image_and_one_server(
    requirements: dict[str, tuple[str, ...]], images: list[str], lab_extensions: dict[str, Any], problems: int
) -> None:
    hub = hub_node(requirements, images=[{"title": name, "image": name} for name in images], lab_extensions=lab_extensions)
    found = jupyterhub.check(hub, facts(hub).facility)
    assert [problem.code for problem in found] == ["hub.extension"] * problems
    assert all(problem.remedy and problem.where for problem in found)
