"""What becomes of nodes of the dialect: machines, a cluster, services; and a line for each node and property that nothing is made of."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cantiere import catalogue
from cantiere.errors import TemplateError
from cantiere.indigo.charts import CHARTS
from cantiere.indigo.table import TABLE
from cantiere.machines.roster import Asked, There, problems
from cantiere.machines.wanted import machines
from cantiere.model import Facility
from cantiere.tosca.compile import Loaded, load
from cantiere.tosca.sources import homes
from support.indigo import INPUTS, TEMPLATES, public, steps, written
from support.templates import Loader
from support.tree import REPOSITORY
from support.tree import load as content

GOLDEN = REPOSITORY / "tests" / "golden" / "indigo.json"
OURS = "cantiere.nodes."


@pytest.fixture
def tosca(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    folder = public(tmp_path_factory.mktemp("public"))
    return {name: load(folder / name, INPUTS.get(name)) for name in TEMPLATES}


def carried() -> dict[str, set[str]]:
    """Our types with the properties that the table gives them."""
    found: dict[str, set[str]] = {}
    for mapped in (*TABLE.values(), *CHARTS.values()):
        for part in mapped.parts:
            found.setdefault(part.type, set()).update([*part.fixed, *(carry.ours for carry in part.carries)])
    found[f"{OURS}MachinePool"] |= {"roles", "max_count", "public_ports"}
    found[f"{OURS}HelmRelease"] = {"chart", "namespace", "values"}
    return found


def shown(facility: Facility) -> dict[str, Any]:
    """Each node with what the table decides of it."""
    told = carried()
    return {
        node.name: {
            "type": node.type,
            "properties": {key: value for key, value in node.properties.items() if key in told.get(node.type, ())},
            "requirements": {key: list(names) for key, names in node.requirements.items()},
        }
        for node in facility.nodes
    }


def test_public_templates_become_these_nodes(templates: dict[str, Loaded]) -> None:
    """To accept a change: ``CANTIERE_GOLDEN=write pytest tests/unit/indigo``, and read the difference."""
    text = json.dumps({name: shown(loaded.facility) for name, loaded in templates.items()}, indent=1) + "\n"
    if os.environ.get("CANTIERE_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


PLANNED = {
    "CMS-XCache-k8s.yaml": {"machine/k8s-master-server-1", "machine/k8s-slave-server-2", "release/cms-xcache", "release/origin"},
    "daskhub.yaml": {"machine/front-1", "machine/wn-1", "release/hub", "release/dask", "release/claim-pvc"},
    "htcondor_cluster.yml": {"machine/lrms-server-1", "machine/lrms-wn-1", "release/pool", "release/iam"},
    "k8s_cluster.yaml": {"machine/k8s-master-server-1", "machine/k8s-node-server-1", "release/monitoring", "release/traefik"},
    "kubernetes.yaml": {"machine/front-1", "machine/wn-1", "release/volumes-local-path", "release/traefik", "release/metrics-server"},
    "kubernetes_elastic.yaml": {"machine/front-1", "machine/wn-1", "release/volumes-local-path", "release/traefik"},
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_public_templates_plan_to_machines_a_cluster_and_releases(templates: dict[str, Loaded], name: str) -> None:
    found = set(steps(templates[name].facility))
    assert PLANNED[name] | {"cluster/cantiere-x"} <= found


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_node_of_a_public_template_is_mapped_or_named(templates: dict[str, Loaded], tmp_path: Path, name: str) -> None:
    loaded = templates[name]
    named = {notice.path for notice in loaded.notices if notice.code in ("dialect.unserved", "dialect.elsewhere")}
    of_no_size = {"fe_block_storage", "wn_block_storage"} if name == "htcondor_cluster.yml" else set()
    carried_along = {"xrootd_block_storage"}
    asked = set(content(public(tmp_path) / name)["topology_template"]["node_templates"])
    assert asked - loaded.became.keys() <= named | of_no_size | carried_along
    assert {node for names in loaded.became.values() for node in names} <= {node.name for node in loaded.facility.nodes}


def test_a_template_by_the_conventions_of_infn_cloud() -> None:
    loaded = load(Path(__file__).with_name("infn.yaml"), {"admin_token": "unused", "htc_secret": "unused"})
    assert {"machine/k8s-master-server-1", "machine/k8s-slave-server-2", "release/pool", "release/longhorn"} <= set(steps(loaded.facility))
    assert loaded.facility.node("iam").properties["issuer_url"] == "https://iam.example.org"
    assert loaded.facility.node("k8s-slave-server").properties["labels"] == {"htc": "worker"}
    assert {notice.code for notice in loaded.notices} == {
        f"dialect.{rule}" for rule in ("types", "constraints", "yes-no", "late", "role", "empty-list", "left", "elsewhere")
    }
    assert sorted(loaded.late) == ["k8s_endpoint", "k8s_node_ip", "node_creds"]


def test_an_elastic_cluster_lets_its_workers_grow(templates: dict[str, Loaded], tmp_path: Path) -> None:
    loaded = load(public(tmp_path) / "kubernetes_elastic.yaml", {"max_wn_num": 9})
    assert loaded.facility.node("wn").properties["max_count"] == 9
    assert templates["kubernetes.yaml"].facility.node("wn").properties["max_count"] == 0


def test_inputs_reach_our_nodes(tmp_path: Path) -> None:
    given = {"wn_num": 3, "wn_cpus": 8, "wn_num_gpus": 2, "kube_public_dns_name": "k8s.example.org", "kube_cert_manager": True}
    facility = load(public(tmp_path) / "kubernetes.yaml", {**given, "kube_csi_driver": "Longhorn"}).facility
    assert facility.node("volumes").properties["driver"] == "longhorn"
    pool = facility.node("wn").properties
    assert (pool["count"], pool["num_cpus"], pool["num_gpus"], pool["roles"]) == (3, 8, 2, ["worker", "gpu"])
    assert facility.node("platform").properties["domain"] == "k8s.example.org"
    assert facility.node("certificates").properties["kind"] == "letsencrypt-prod"


VM = "    vm: {type: tosca.nodes.indigo.Compute, capabilities: {host: {properties: {num_cpus: 4, mem_size: 8 GB}}}}\n"
FRONT = VM + "    front: {type: tosca.nodes.indigo.LRMS.FrontEnd.Kubernetes, requirements: [{host: vm}]}\n"
HUB = (
    "    hub_of_theirs:\n      type: tosca.nodes.DODAS.single-node-jupyterhub\n      properties:\n"
    "        iam_url: https://iam.example.org/\n        iam_subject: me\n        iam_groups: cms atlas\n"
    "        jupyter_images: registry.example.org/lab:v1\n        contact_email: me@example.org\n        iam_client_id: hub\n"
    "        jupyter_post_start_cmd: ls\n      requirements: [{host: vm}]\n"
)


def test_machines_on_their_removal_list_leave_first(tosca: Loader) -> None:
    few = "    wn: {type: tosca.nodes.indigo.Compute, capabilities: {scalable: {properties: {count: 2, removal_list: [wn-1]}}}}\n"
    loaded = tosca(written(FRONT + few))
    assert loaded.facility.node("wn").properties["removal_list"] == ["wn-1"]
    assert not [line for line in lines(loaded, "dialect.left") if "removal_list" in line]
    before = There(frozenset({"wn-1", "wn-2", "wn-3"}))
    assert [machine.name for machine in machines(loaded.facility, before) if machine.pool == "wn"] == ["wn-2", "wn-3"]
    (problem,) = problems([loaded.facility.node("wn")], There(frozenset({"wn-1", "wn-2"})), Asked())
    assert problem.where is not None and (problem.where.line, problem.code) == (8, "pool.removal")


def test_a_hub_on_one_machine(tosca: Loader) -> None:
    facility = tosca(written(VM + HUB)).facility
    hub, iam = facility.node("hub").properties, facility.node("iam").properties
    assert hub["allowed_groups"] == ["/cms", "/atlas"]
    assert hub["images"] == [{"title": "lab:v1", "image": "registry.example.org/lab:v1"}]
    assert (hub["max_cpus"], hub["max_memory"]) == (4, 6_000_000_000)
    assert (iam["issuer_url"], iam["client_id"], iam["client_secret"]) == ("https://iam.example.org", "hub", "env:IAM_CLIENT_SECRET")
    assert facility.node("vm").properties["roles"] == ["control-plane", "worker"]
    assert {"machine/vm-1", "release/hub", "release/monitoring"} <= set(steps(facility))


def lines(loaded: Loaded, code: str) -> list[str]:
    return [
        f"{notice.where.line if notice.where else 0} {notice.message} {notice.remedy}".strip()
        for notice in loaded.notices
        if notice.code == code
    ]


def test_a_property_without_effect_is_told_with_what_is_in_its_place(tosca: Loader) -> None:
    told = lines(tosca(written(VM + HUB)), "dialect.left")
    assert "16 'jupyter_post_start_cmd' of 'hub_of_theirs' has no effect: nothing is run in notebooks; put it into the image." in told


def test_a_node_without_a_service_is_told_with_what_to_do(tosca: Loader) -> None:
    galaxy = "    galaxy: {type: tosca.nodes.indigo.OphidiaServer, requirements: [{host: vm}]}\n"
    loaded = tosca(written(FRONT + galaxy))
    assert lines(loaded, "dialect.unserved") == [
        "8 Nothing here carries out 'galaxy', which is a tosca.nodes.indigo.OphidiaServer. "
        "Add a service of your own (docs/how-to/own-services.md), or a release of its chart (cantiere.nodes.HelmRelease)."
    ]
    assert "galaxy" not in {node.name for node in loaded.facility.nodes}


def test_a_node_that_is_nothing_but_a_play(tosca: Loader) -> None:
    loaded = tosca(written(VM + "    extra: {type: tosca.nodes.SoftwareComponent, requirements: [{host: vm}]}\n"))
    assert lines(loaded, "dialect.unserved") == [
        "7 Nothing here carries out 'extra', which is a tosca.nodes.SoftwareComponent. "
        "Run its play after `up`: ansible-playbook -i inventories/SITE/cantiere.yml PLAY."
    ]


LONGHORN = (
    "    volumes_of_theirs:\n      type: tosca.nodes.DODAS.Kubernetes.LongHorn\n"
    "      properties: {is_enabled: true, name: longhorn, chart: longhorn/longhorn, repos: []}\n      requirements: [{host: vm}]\n"
)
DODAS = "    front: {type: tosca.nodes.DODAS.FrontEnd.Kubernetes, requirements: [{host: vm}]}\n"


@pytest.mark.parametrize("nodes", [VM + DODAS + LONGHORN, LONGHORN + DODAS + VM])
def test_what_a_node_of_its_own_says_counts_more_than_what_the_front_end_brings(tosca: Loader, nodes: str) -> None:
    assert tosca(written(nodes)).facility.node("volumes").properties["driver"] == "longhorn"
    assert tosca(written(VM + DODAS)).facility.node("volumes").properties["driver"] == "local-path"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("", "facility-ca"),
        ("cert_manager_type: self-signed", "self-signed"),
        ("cert_manager_type: letsencrypt-staging", "facility-ca"),
        ("cert_manager_type: letsencrypt-staging, cert_manager_email: me@example.org", "letsencrypt-staging"),
        ("cert_manager_email: me@example.org", "letsencrypt-prod"),
    ],
)
def test_who_signs_certificates(tosca: Loader, given: str, kind: str) -> None:
    loaded = tosca(written(VM + DODAS.replace("requirements", f"properties: {{{given}}}, requirements")))
    assert loaded.facility.node("certificates").properties["kind"] == kind
    assert len(lines(loaded, "dialect.left")) == (given == "cert_manager_type: letsencrypt-staging")


def test_labels_of_workers_are_those_of_their_pool(tosca: Loader) -> None:
    worker = (
        "    worker:\n      type: tosca.nodes.DODAS.WorkerNode.Kubernetes\n      properties: {front_end_ip: '', nodelabel: 'htc=worker'}\n"
    )
    machines = "      requirements: [{host: more}]\n    more: {type: tosca.nodes.indigo.Compute}\n"
    assert tosca(written(VM + DODAS + worker + machines)).facility.node("more").properties["labels"] == {"htc": "worker"}


def test_what_is_off_is_not_told(tosca: Loader) -> None:
    needed = "properties: {kube_type_of_node: wn, kube_front_end_ip: ''}, requirements: [{host: vm}]"
    kafka = f"    kafka: {{type: tosca.nodes.DODAS.Kubernetes.Kafka, {needed}}}\n"
    assert lines(tosca(written(VM + kafka)), "dialect.unserved") == []
    on = kafka.replace("{kube_type", "{is_enabled: true, kube_type")
    assert len(lines(tosca(written(VM + on)), "dialect.unserved")) == 1


def test_a_type_of_the_template_is_what_it_derives_from(tosca: Loader) -> None:
    types = "node_types:\n  my.Front: {derived_from: tosca.nodes.indigo.LRMS.FrontEnd.Kubernetes}\n"
    head = f"tosca_definitions_version: tosca_simple_yaml_1_0\nimports: [{{theirs: 'https://example.org/custom_types.yaml'}}]\n{types}"
    facility = tosca(written(FRONT.replace("tosca.nodes.indigo.LRMS.FrontEnd.Kubernetes", "my.Front"), head=head)).facility
    assert facility.node("vm").properties["roles"] == ["control-plane", "worker"]


CHART = "    chart:\n      type: tosca.nodes.indigo.Helm.Chart\n      properties: {{name: {}}}\n      requirements: [{{host: front}}]\n"


def test_a_chart_that_we_have_a_service_for(tosca: Loader) -> None:
    facility = tosca(written(FRONT + CHART.format("dask/dask-gateway"))).facility
    assert facility.node("dask").type == "cantiere.nodes.DaskGateway"
    assert facility.node("dask").requirements["hub"] == ("hub",)
    assert facility.node("hub").requirements["issuer"] == ("iam",)


def test_a_chart_that_we_have_no_service_for(tosca: Loader) -> None:
    loaded = tosca(written(FRONT + CHART.format("argo")))
    assert [line.partition(". ")[2] for line in lines(loaded, "dialect.unserved")] == [
        "Write it as a node of type cantiere.nodes.HelmRelease, with the chart's version and digest."
    ]


OBJECT = (
    "    thing:\n      type: tosca.nodes.indigo.KubernetesObject\n      properties: {{spec: '{}'}}\n      requirements: [{{host: front}}]\n"
)


def test_an_object_of_kubernetes_becomes_a_release(tosca: Loader) -> None:
    spec = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: data}, data: {x: y}}"
    node = tosca(written(FRONT + OBJECT.format(spec))).facility.node("thing")
    assert (node.type, node.properties["chart"], node.properties["namespace"]) == ("cantiere.nodes.HelmRelease", "objects", "data")
    assert node.properties["values"]["objects"]["configmap-a"]["data"] == {"x": "y"}


@pytest.mark.parametrize("spec", ["{kind: [", "", "{apiVersion: v1, kind: Secret, metadata: {name: a}}", "{kind: Pod}"])
def test_what_is_no_object_or_a_secret_is_told(tosca: Loader, spec: str) -> None:
    assert len(lines(tosca(written(FRONT + OBJECT.format(spec))), "dialect.unserved")) == 1


def test_a_value_that_ours_does_not_take_is_an_error_at_its_place(tosca: Loader) -> None:
    dodas = FRONT.replace("indigo.LRMS.FrontEnd.Kubernetes, ", "DODAS.FrontEnd.Kubernetes, properties: {kube_master_dns_name: nodots}, ")
    assert tosca.codes(written(dodas)) == ["property.constraint:7"]


def test_machines_alone_are_a_facility(tosca: Loader) -> None:
    facility = tosca(written(VM)).facility
    assert [(node.name, node.properties["roles"]) for node in facility.nodes] == [("vm", [])]
    assert catalogue.check(facility, "kubernetes") == []


def test_names_that_become_the_same_stay_apart(tosca: Loader) -> None:
    both = "    a_b: {type: tosca.nodes.indigo.Compute}\n    a-b: {type: tosca.nodes.indigo.Compute}\n"
    assert {node.name for node in tosca(written(both)).facility.nodes} == {"a-b", "a-b-2"}


def test_a_template_of_which_nothing_is_left_says_so(tosca: Loader) -> None:
    loaded = tosca(written("    c: {type: tosca.nodes.indigo.OnedataServiceSpace}\n"))
    assert loaded.facility.nodes == ()
    assert len(lines(loaded, "dialect.unserved")) == 1


def test_no_line_that_is_missing_or_cut_ends_in_a_traceback(tmp_path: Path) -> None:
    lines_ = Path(__file__).with_name("infn.yaml").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "template.yaml"
    refused = 0
    for number, line in enumerate(lines_):
        path.write_text(
            "\n".join([*lines_[:number], line[: len(line) * (number % 3) // 3], *lines_[number + 1 :]]) + "\n", encoding="utf-8"
        )
        try:
            load(path, {"admin_token": "unused", "htc_secret": "unused"})
        except TemplateError as error:
            refused += 1
            assert all(problem.where and problem.remedy for problem in error.problems)
    assert 0 < refused < len(lines_)


def test_the_table_names_types_that_there_are() -> None:
    folder = REPOSITORY / "tosca" / "types"
    theirs = {name for path in (folder / "indigo").glob("*.yaml") for name in content(path).get("node_types", {})}
    normative = {f"tosca.nodes.{name}" for name in ("Compute", "BlockStorage", "network.Network", "network.Port")}
    assert set(TABLE) - theirs == normative
    for mapped in (*TABLE.values(), *CHARTS.values()):
        for part in mapped.parts:
            file = content(folder / homes()[part.type])
            assert part.type in file["node_types"]


def test_every_type_of_ours_has_its_home() -> None:
    folder = REPOSITORY / "tosca" / "types"
    found = {name: path.name for path in folder.glob("*.yaml") for name in content(path).get("node_types", {})}
    assert homes() == found


ON = "requirements: [host: vm]"
INFN = {
    "applications/iam_types.yaml": f"DockerCompose, {ON}, properties: {{organisation_name: lab, saml_idp_metadata: m, db_port: '3306'}}",
    "infrastructure/mesos_types.yaml": f"LRMS.FrontEnd.Mesos, {ON}, properties: {{dns_name: x, ssl_cert_gen: y}}",
    "infrastructure/docker_runtime_types.yaml": "Container.Application.Docker.Chronos, requirements: [{host: r}], properties: {command: x}",
}
"""File of INFN's to a node of one of its types."""


@pytest.mark.parametrize("name", INFN)
def test_types_of_infn_by_url_are_served_by_ours(tosca: Loader, name: str) -> None:
    head = f"tosca_definitions_version: tosca_simple_yaml_1_0\nimports: [{{theirs: 'https://example.org/raw/master/tosca_types/{name}'}}]\n"
    nodes = f"    vm: {{type: tosca.nodes.indigo.Compute}}\n    n: {{type: tosca.nodes.indigo.{INFN[name]}}}\n"
    nodes += "    r: {type: tosca.nodes.indigo.Container.Runtime.Docker}\n" if "host: r" in nodes else ""
    notices = tosca(written(nodes, head=head)).notices
    assert [notice.where.line for notice in notices if notice.code == "dialect.types" and notice.where] == [2]
    assert "Nothing here carries out 'n'" in " ".join(notice.message for notice in notices if notice.code == "dialect.unserved")


def test_the_guide_names_every_type_of_the_table() -> None:
    text = (REPOSITORY / "docs" / "how-to" / "indigo-templates.md").read_text(encoding="utf-8")
    assert [name for name in TABLE if f"`{name.removeprefix('tosca.nodes.')}`" not in text] == []
    assert [name for name in CHARTS if f"`{name}`" not in text] == []
