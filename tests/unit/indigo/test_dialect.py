"""Every rule that is relaxed for the dialect: what is told of it and where, and that nothing is relaxed without the dialect's types."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.indigo.dialect import RULES
from cantiere.tosca.compile import Loaded, load
from support.indigo import HEAD, PUBLIC, written
from support.templates import Loader
from support.tree import REPOSITORY

VM = "    vm: {type: tosca.nodes.indigo.Compute}\n"
PLAIN = "tosca_definitions_version: tosca_simple_yaml_1_0\n"


@pytest.fixture
def tosca(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


def told(loaded: Loaded, *codes: str) -> list[str]:
    """Notices of some codes, each with its line and column."""
    return [f"{n.code}:{n.where.line}:{n.where.column}" for n in loaded.notices if n.code in codes and n.where]


TWICE = "    a:\n      type: string\n      description:\n      default: x\n      description: an input\n"
OWN = "    a: {type: integer, default: 1, constraints: [{valid_values: [2, 4]}]}\n"
EMPTY = "    disk: {type: tosca.nodes.BlockStorage, properties: {size: 0 GB}}\n"
STACK = (
    "    one: {type: tosca.nodes.SoftwareComponent, requirements: [{host: vm}]}\n"
    "    two: {type: tosca.nodes.SoftwareComponent, requirements: [{host: one}]}\n"
)
CLIENT = "    c:\n      type: tosca.nodes.indigo.iam.client\n      properties: {issuer: 'https://iam.example.org/', client_id: mine}\n"
OFF = "    vm:\n      type: tosca.nodes.indigo.Compute\n      properties: {fail2ban_enabled: off}\n"
ROLE = (
    "    vm:\n      type: tosca.nodes.indigo.Compute\n      artifacts:\n"
    "        nfs: {file: 'indigo-dc.nfs,v1', type: tosca.artifacts.AnsibleGalaxy.role}\n"
)
USER = "    user: {value: {get_property: [vm, os_users, 0]}}\n"

RULE = [
    ("types", written(VM), "3:13"),
    ("constraints", written(VM, inputs="    a:\n      type: integer\n      default: 2\n      constraints: {in_range: [1, 4]}\n"), "9:20"),
    ("yes-no", written(VM, inputs="    a: {type: string, default: x, required: no}\n"), "6:45"),
    ("yes-no value", written(OFF), "8:38"),
    ("repeated", written(VM, inputs=TWICE), "10:7"),
    ("default", written(VM, inputs=OWN), "6:33"),
    ("no-volume", written(VM + EMPTY), "7:63"),
    ("empty-list", written(VM, outputs=USER), "8:49"),
    ("late", written(CLIENT), "7:13"),
    ("host", written(VM + STACK), "8:70"),
    ("role", written(ROLE), "9:9"),
]


@pytest.mark.parametrize(("rule", "text", "place"), RULE, ids=[rule for rule, *_ in RULE])
def test_a_rule_is_relaxed_and_told_with_its_place(tosca: Loader, rule: str, text: str, place: str) -> None:
    code = f"dialect.{rule.split()[0]}"
    assert told(tosca(text), code) == [f"{code}:{place}"]


def test_every_rule_has_its_test() -> None:
    assert {rule.split()[0] for rule, *_ in RULE} | {"parent", "own"} == {name for name, rule in RULES.items() if rule.told}


STRICT = [
    ("yes-no", "  inputs:\n    a: {type: string, default: x, required: no}\n", "grammar.shape:4"),
    ("constraints", "  inputs:\n    a: {type: integer, default: 2, constraints: {in_range: [1, 4]}}\n", "grammar.shape:4"),
    ("repeated", f"  inputs:\n{TWICE}", "document.duplicate:8"),
    ("default", f"  inputs:\n{OWN}", "property.constraint:4"),
    ("no-volume", f"  node_templates:\n{EMPTY}", "property.constraint:4"),
    ("types", "  node_templates:\n    n: {type: tosca.nodes.Root}\n", "import.url:2"),
    ("host", f"  node_templates:\n    vm: {{type: tosca.nodes.Compute}}\n{STACK}", "requirement.mismatch:6"),
]


@pytest.mark.parametrize(("rule", "body", "code"), STRICT, ids=[rule for rule, *_ in STRICT])
def test_nothing_is_relaxed_without_the_types_of_the_dialect(tosca: Loader, rule: str, body: str, code: str) -> None:
    imports = "imports: [{theirs: 'https://example.org/custom_types.yaml'}]\n" if rule == "types" else ""
    assert code in tosca.codes(f"{PLAIN}{imports}topology_template:\n{body}")


def test_an_empty_list_is_refused_without_the_types_of_the_dialect(tosca: Loader) -> None:
    types = "node_types:\n  t.N:\n    derived_from: tosca.nodes.Root\n    properties: {users: {type: list, default: []}}\n"
    nodes = "topology_template:\n  node_templates:\n    n: {type: t.N}\n  outputs:\n    user: {value: {get_property: [n, users, 0]}}\n"
    assert tosca.codes(PLAIN + types + nodes) == ["function.path:10"]


def test_keys_written_twice_with_two_values_stay_an_error(tosca: Loader) -> None:
    text = written(VM, inputs="    a:\n      type: string\n      default: x\n      default: y\n")
    assert tosca.codes(text) == ["document.duplicate:9"]


def test_a_given_input_keeps_its_constraints(tosca: Loader) -> None:
    text = written(VM, inputs="    a: {type: integer, default: 1, constraints: [{valid_values: [2, 4]}]}\n")
    assert [problem.code for problem in tosca.problems(text, {"a": 3})] == ["property.constraint"]


def test_constraints_written_as_a_mapping_hold(tosca: Loader) -> None:
    text = written(VM, inputs="    a: {type: integer, default: 2, constraints: {in_range: [1, 4]}}\n")
    assert [problem.code for problem in tosca.problems(text, {"a": 5})] == ["property.constraint"]


def test_an_entry_of_a_list_that_is_not_empty_is_read(tosca: Loader) -> None:
    vm = "    vm:\n      type: tosca.nodes.indigo.Compute\n      properties: {os_users: [{os_user_name: alice}]}\n"
    text = written(vm, outputs="    user: {value: {get_property: [vm, os_users, 0, os_user_name]}}\n")
    loaded = tosca(text)
    assert loaded.facility.outputs == {"user": "alice"}
    assert told(loaded, "dialect.empty-list") == []


def test_what_is_filled_in_late_has_no_value_yet(tosca: Loader) -> None:
    text = written(
        "    c: {type: tosca.nodes.indigo.iam.client, properties: {issuer: 'https://iam.example.org/'}}\n",
        outputs="    id: {value: {concat: ['client ', {get_property: [c, client_id]}]}}\n",
    )
    assert tosca(text).facility.outputs == {"id": None}


def test_a_client_that_is_given_is_not_late(tosca: Loader) -> None:
    given = "{issuer: 'https://iam.example.org/', client_id: mine, registration_access_token: t}"
    loaded = tosca(written(f"    c: {{type: tosca.nodes.indigo.iam.client, properties: {given}}}\n"))
    assert told(loaded, "dialect.late") == []


def test_types_that_we_do_not_have_are_told(tosca: Loader) -> None:
    text = written(VM, head=HEAD.replace("custom_types", "others"))
    assert tosca.codes(text)[:1] == ["import.url:3"]


@pytest.mark.parametrize("name", sorted(path.name for path in (PUBLIC / "types").glob("*.yaml")))
def test_a_copy_of_public_types_beside_the_template(tosca: Loader, name: str) -> None:
    tosca.write(name, (PUBLIC / "types" / name).read_bytes())
    loaded = tosca(written(VM, head=f"{PLAIN}imports: [{name}]\n"))
    assert [notice.where.file.rpartition("/")[2] for notice in loaded.notices if notice.code == "dialect.own" and notice.where] == [name]


@pytest.mark.parametrize("name", sorted(path.name for path in (PUBLIC / "types").glob("*.yaml")))
def test_a_copy_of_public_types_alone(tosca: Loader, name: str) -> None:
    assert tosca((PUBLIC / "types" / name).read_bytes()).facility.nodes == ()


def test_our_own_types_are_no_reason_for_a_warning(tosca: Loader) -> None:
    folder = REPOSITORY / "tosca" / "types" / "indigo"
    alone = [load(path) for path in folder.glob("*.yaml") if "\nnode_types:" in path.read_text(encoding="utf-8")]
    assert [(loaded.warnings, loaded.notices) for loaded in alone] == [((), ())] * len(alone)
    assert tosca(written(VM)).warnings == ()


def test_types_of_a_copy_that_we_do_not_have_are_read_from_it(tosca: Loader) -> None:
    types = "node_types:\n  tosca.nodes.indigo.Compute: {derived_from: nothing}\n"
    types += "  tosca.nodes.indigo.Mine:\n    derived_from: tosca.nodes.indigo.Compute\n"
    tosca.write("types.yaml", PLAIN + types + "    properties: {colour: {type: string}}\n")
    vm = "    vm: {type: tosca.nodes.indigo.Mine, properties: {colour: red}}\n"
    loaded = tosca(written(vm, head=f"{PLAIN}imports: [types.yaml]\n"))
    assert [node.name for node in loaded.facility.of_type("cantiere.nodes.MachinePool")] == ["vm"]


PARENT = written(
    "    vm: {type: tosca.nodes.indigo.Compute}\n    old: {type: tosca.nodes.indigo.Compute}\n",
    inputs="    size: {type: integer, default: 1}\n",
    outputs="    size: {value: {get_input: size}}\n",
)
ADD_ON = HEAD + "metadata:\n  template_name: more\n  parents: [base.yaml]\n"


def test_an_add_on_is_merged_with_its_parent(tosca: Loader) -> None:
    tosca.write("base.yaml", PARENT)
    body = written(
        "    old: {type: tosca.nodes.indigo.Compute, capabilities: {scalable: {properties: {count: 3}}}}\n",
        inputs="    size: {type: integer, default: 2}\n",
        head=ADD_ON,
    )
    loaded = tosca(body)
    pools = {node.name: node.properties["count"] for node in loaded.facility.of_type("cantiere.nodes.MachinePool")}
    assert pools == {"vm": 1, "old": 3}
    assert loaded.facility.outputs == {"size": 2}
    assert loaded.facility.name == "more"
    assert told(loaded, "dialect.parent") == ["dialect.parent:6:13"]


def test_an_add_on_without_nodes_of_its_own_is_merged_too(tosca: Loader) -> None:
    tosca.write("base.yaml", PARENT)
    loaded = tosca(written("", outputs="    more: {value: 7}\n", head=ADD_ON))
    assert loaded.facility.outputs == {"size": 1, "more": 7}


def test_parents_of_parents_are_merged_and_cycles_end(tosca: Loader) -> None:
    tosca.write("base.yaml", PARENT.replace("imports:", "metadata: {parents: [root.yaml]}\nimports:"))
    tosca.write("root.yaml", written("    deep: {type: tosca.nodes.indigo.Compute}\n", head=ADD_ON))
    loaded = tosca(written("", outputs="    more: {value: 7}\n", head=ADD_ON))
    assert {node.name for node in loaded.facility.nodes} == {"deep", "vm", "old"}


def test_a_parent_that_is_not_there_is_an_error(tosca: Loader) -> None:
    assert "dialect.parent:6" in tosca.codes(written(VM, head=ADD_ON))


def test_a_parent_outside_of_the_folder_is_not_read(tosca: Loader) -> None:
    tosca.write("base.yaml", PARENT)
    text = written(VM, head=ADD_ON.replace("base.yaml", "../base.yaml"))
    tosca.write("inner/template.yaml", text)
    inner = Loader(tosca.folder / "inner")
    assert {node.name for node in inner(text).facility.nodes} == {"vm"}


def test_metadata_of_other_templates_is_left_alone(tosca: Loader) -> None:
    text = f"{PLAIN}metadata: {{parents: [base.yaml]}}\ntopology_template:\n  node_templates:\n    n: {{type: tosca.nodes.Root}}\n"
    loaded = tosca(text)
    assert [node.type for node in loaded.facility.nodes] == ["tosca.nodes.Root"]
    assert loaded.notices == ()
