"""Releases of any chart, and services of a site's own folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere import catalogue
from cantiere import site as sites
from cantiere.cluster.platform import Cluster
from cantiere.errors import CantiereError, TemplateError
from cantiere.model import Node
from cantiere.supply import charts
from cantiere.values import generic, site_services
from cantiere.values.catalogue import COMPILERS, compile_all
from support.charts import upstream
from support.further import context, held, one, wrong
from support.releases import WHERE

DIGEST = "0" * 63 + "1"
REPOSITORY = {"chart": "keda", "repository": "https://charts.example.org", "version": "2.20.2", "sha256": DIGEST}


def test_release_is_what_the_template_says(tmp_path: Path) -> None:
    told = {
        "chart": "keda",
        "namespace": "keda",
        "values": {"operator": {"replicaCount": 2}},
        "needs": ["cert-manager"],
        "pod_security": "restricted",
        "owns": ["CustomResourceDefinition/scaledobjects.keda.sh"],
        "secrets": {"keda-auth": {"user": "env:USER_NAME", "password": "generate:password"}},
        "timeout": "5 m",
    }
    node, where, releases = one(tmp_path, generic.TYPE, told, "scaler")
    assert wrong(node, where) == []
    (release,) = releases.values()
    assert (release.name, release.namespace, release.chart) == ("scaler", "keda", "keda")
    assert release.values == told["values"] and release.needs == ("cert-manager",)
    assert (release.pod_security, release.timeout) == ("restricted", 300)
    assert release.owns == ("CustomResourceDefinition/scaledobjects.keda.sh",)
    (secret,) = release.secrets
    assert secret.name == "keda-auth"
    assert {file.file: file.secret.source for file in secret.files} == {"user": "env:USER_NAME", "password": "generate:password"}


def test_values_keep_their_kinds_and_are_never_evaluated(tmp_path: Path) -> None:
    values = {
        "text": "{{ lookup('env', 'HOME') }}",
        "number": 3,
        "part": 0.5,
        "yes": True,
        "none": None,
        "list": [1, {"a": "b"}],
        "map": {},
    }
    node, where, releases = one(tmp_path, generic.TYPE, {"chart": "keda", "values": values}, "scaler")
    assert releases["scaler"].values == values
    assert wrong(node, where) == []


def test_values_are_held_against_the_chart_that_is_at_hand(tmp_path: Path) -> None:
    upstream("cert-manager")
    told = {"chart": "cert-manager", "values": {"crds": {"enabled": True}}}
    _, where, releases = one(tmp_path, generic.TYPE, told, "certificates")
    assert held(releases.values(), where) == []
    told = {"chart": "cert-manager", "values": {"crds": {"enable": True}, "replicaCount": "two"}}
    _, where, releases = one(tmp_path, generic.TYPE, told, "certificates")
    found = held(releases.values(), where)
    assert any("crds" in problem and "'enable'" in problem for problem in found)
    assert any("replicaCount" in problem for problem in found)


def test_a_chart_of_a_repository_is_pinned_by_the_node(tmp_path: Path) -> None:
    node, where, releases = one(tmp_path, generic.TYPE, REPOSITORY, "scaler")
    assert wrong(node, where) == []
    pins = generic.pins(where.facility, "/srv/site")
    upstream_pin = {
        "repository": "https://charts.example.org",
        "chart": "keda",
        "file": "https://charts.example.org/keda-{version}.tgz",
        "sha256": DIGEST,
    }
    assert pins == {releases["scaler"].chart: {"version": "2.20.2", "upstream": upstream_pin}}
    assert releases["scaler"].chart != "keda", "a pin of the facility's own is not laid over"


def test_a_chart_of_a_folder_is_below_the_template(tmp_path: Path) -> None:
    node, where, releases = one(tmp_path, generic.TYPE, {"chart": "mine", "folder": "charts/mine"}, "scaler")
    assert wrong(node, where) == []
    assert generic.pins(where.facility, "/srv/site") == {releases["scaler"].chart: {"folder": "/srv/site/charts/mine"}}


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ({"chart": "a", "repository": "https://x.example.org"}, ["release.pin"]),
        (REPOSITORY | {"folder": "charts/a"}, ["release.origin"]),
        ({"chart": "a", "version": "1.2.3"}, ["release.version"]),
        ({"chart": "a", "folder": "../a"}, ["release.folder"]),
        ({"chart": "a", "namespace": "kube-system"}, ["release.namespace"]),
        ({"chart": "a", "needs": ["it"]}, ["release.needs"]),
        ({"chart": "a", "namespace": "default", "enabled": False}, []),
    ],
)
def test_releases_are_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, generic.TYPE, properties)
    assert wrong(node, where) == codes


def test_values_that_helm_cannot_be_given_are_told_by_their_place(tmp_path: Path) -> None:
    node, where, _ = one(tmp_path, generic.TYPE, {"chart": "a", "values": {"a": [1, {"b": float("nan")}]}})
    (problem,) = generic.check(node, where.facility)
    assert problem.code == "release.value" and "a[1].b" in problem.message


@pytest.mark.parametrize(
    "properties", [{"chart": "a", "repository": "http://x.example.org"}, {"chart": "A"}, {"chart": "a", "sha256": "1"}]
)
def test_types_refuse_what_no_chart_can_be(tmp_path: Path, properties: dict[str, Any]) -> None:
    with pytest.raises(TemplateError):
        one(tmp_path, generic.TYPE, properties)


def test_two_nodes_cannot_make_one_release(tmp_path: Path) -> None:
    told = {"chart": "a"}
    _, where, _ = one(tmp_path, generic.TYPE, told, "kueue-queues", beside={"kueue": {"type": "cantiere.nodes.Kueue"}})
    with pytest.raises(CantiereError, match="both make a release kueue-queues"):
        compile_all(where)


GOOD = """
from cantiere.values.catalogue import Compiler
from cantiere.values.model import Release


def releases(node, context):
    return (Release(node.name, context.namespace, "mine", {"size": node.properties["size"]}, node.name),)


COMPILERS = {"example.nodes.Mine": Compiler(releases)}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "mysite"
    (folder / "services").mkdir(parents=True, mode=0o755)
    return folder


def write(site: Path, text: str, name: str = "mine.py") -> str:
    path = site / "services" / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    return f"services/{name}"


def test_a_sites_own_service_is_compiled_with_the_others(site: Path) -> None:
    found = site_services.load(site, [write(site, GOOD)])
    assert list(found) == ["example.nodes.Mine"]
    where = context(Node("it", "example.nodes.Mine", {"size": 3}, {}, WHERE))
    assert compile_all(where) == (), "nothing knows it"
    (release,) = compile_all(replace(where, own=found))
    assert (release.chart, release.values) == ("mine", {"size": 3})


def test_nothing_is_loaded_that_is_not_listed(site: Path) -> None:
    write(site, GOOD)
    write(site, "raise SystemExit('loaded')", "other.py")
    assert list(site_services.load(site, ["services/mine.py"])) == ["example.nodes.Mine"]
    assert site_services.load(site, []) == {}


def test_loading_leaves_no_files_behind(site: Path) -> None:
    site_services.load(site, [write(site, GOOD)])
    assert [path.name for path in (site / "services").iterdir()] == ["mine.py"]


def codes(site: Path, *names: str) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        site_services.load(site, names)
    assert all(problem.remedy and problem.where for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(
    "name",
    [
        "../mine.py",
        "mine.py",
        "services/../mine.py",
        "/etc/passwd",
        "services/sub/mine.py",
        "services/mine.txt",
        "services/Mine.py",
        "services/",
    ],
)
def test_files_elsewhere_are_refused(site: Path, name: str) -> None:
    write(site, GOOD)
    assert codes(site, name) == ["site.service.file"]


def test_files_that_others_could_have_written_are_refused(site: Path) -> None:
    name = write(site, GOOD)
    (site / name).chmod(0o666)
    assert codes(site, name) == ["site.service.file"]
    (site / name).chmod(0o644)
    (site / "services").chmod(0o777)
    assert codes(site, name) == ["site.service.file"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_files_of_others_are_refused(site: Path) -> None:
    name = write(site, GOOD)
    os.chown(site / name, 12345, 12345)
    assert codes(site, name) == ["site.service.file"]


def test_links_are_refused(site: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(GOOD)
    (site / "services" / "mine.py").symlink_to(outside)
    assert codes(site, "services/mine.py") == ["site.service.file"]
    (site / "services" / "mine.py").unlink()
    (site / "services").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(GOOD)
    (site / "services").symlink_to(tmp_path / "elsewhere")
    assert codes(site, "services/mine.py") == ["site.service.file"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1\n", "site.service.empty"),
        ("COMPILERS = {}\n", "site.service.empty"),
        ("COMPILERS = ['example.nodes.Mine']\n", "site.service.empty"),
        (GOOD.replace("example.nodes.Mine", "cantiere.nodes.Mine"), "site.service.type"),
        (GOOD.replace("example.nodes.Mine", "cantiere.nodes.ObjectStore"), "site.service.type"),
        ("COMPILERS = {'example.nodes.Mine': print}\n", "site.service.compiler"),
        ("import nothing_like_this\n", "site.service.load"),
        ("def broken(:\n", "site.service.load"),
        ("raise SystemExit(3)\n", "site.service.load"),
    ],
)
def test_what_a_file_cannot_be_is_told(site: Path, text: str, code: str) -> None:
    before = dict(COMPILERS)
    assert codes(site, write(site, text)) == [code]
    assert dict(COMPILERS) == before


def test_an_error_names_its_line(site: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        site_services.load(site, [write(site, "a = 1\nb = a / 0\n")])
    (problem,) = caught.value.problems
    assert problem.where is not None and problem.where.line == 2
    with pytest.raises(TemplateError) as caught:
        site_services.load(site, [write(site, "a = 1\n\ndef broken(:\n")])
    (problem,) = caught.value.problems
    assert problem.where is not None and problem.where.line == 3


def test_every_problem_is_told_and_two_files_cannot_make_one_type(site: Path) -> None:
    first, second, broken = write(site, GOOD), write(site, GOOD, "again.py"), write(site, "raise ValueError\n", "broken.py")
    assert codes(site, first, second, broken) == ["site.service.twice", "site.service.load"]


INVENTORY = """
plugin: cantiere
site: mysite
template: template.yaml
platform: cluster
provider: {type: cluster, namespace: physics}
services: [services/mine.py]
"""


def test_a_site_says_which_services_are_its_own(site: Path) -> None:
    write(site, GOOD)
    (site / "cantiere.yml").write_text(INVENTORY)
    found = sites.load(site / "cantiere.yml")
    assert found.services == ("services/mine.py",)
    (site / "cantiere.yml").write_text(INVENTORY.replace("[services/mine.py]", "services/mine.py"))
    with pytest.raises(TemplateError, match="services is a list of files"):
        sites.load(site / "cantiere.yml")


def test_own_types_are_known_to_the_check_of_the_whole_facility(site: Path) -> None:
    facility = context(Node("it", "example.nodes.Mine", {}, {}, WHERE)).facility
    assert [problem.code for problem in catalogue.check(facility, "cluster")] == ["service.unknown"]
    assert catalogue.check(facility, "cluster", site_services.load(site, [write(site, GOOD)])) == []


def test_charts_of_nodes_are_found_beside_the_pinned_ones(site: Path) -> None:
    _, where, releases = one(site, generic.TYPE, {"chart": "hello", "folder": "charts/hello"}, "greeting")
    folder = site / "charts" / "hello"
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: hello\nversion: 0.0.1\n")
    (folder / "values.yaml").write_text("text: hi\n")
    (site / "cantiere.yml").write_text(INVENTORY)
    cluster = Cluster(sites.load(site / "cantiere.yml"), where.facility)
    assert charts.folder(releases["greeting"].chart, cluster.site) == folder
    assert charts.version(releases["greeting"].chart, cluster.site) == "0.0.1"
    assert "minio" in charts.names(cluster.site)
