"""From workflows as they are written to ordered steps: Simple Profile 1.3, sections 3.6.19 to 3.6.24, 3.8.7 and 7.3."""

from __future__ import annotations

import time

import pytest

from cantiere.catalogue import check
from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
from cantiere.workflows.model import Attribute, Given, Joined, Output
from cantiere.workflows.plan import LARGEST, build, lines
from support.tree import REPOSITORY
from unit.workflows.samples import HEAD, Place, flow, step

DUMP = "{call_operation: Keep.dump}"
CHECK = "{call_operation: Keep.check}"
ASKING = "{call_operation: {operation: Keep.dump, inputs: {x: %s}}}"
INPUTS = "      inputs: {label: {type: string, constraints: [{max_length: 4}]}, more: {type: string, default: x}}\n"


def test_7_3_steps_come_after_those_that_they_follow(place: Place) -> None:
    text = flow(
        "w", step("c", CHECK), step("b", "{set_state: kept}", "on_success: c"), step("a", DUMP, "on_success: [b, c], on_failure: [x]")
    )
    plan = place.plan(text + step("x", "{set_state: broken}"))
    assert [(planned.id, planned.after, planned.rescues) for planned in plan.steps] == [
        ("a", (), ()),
        ("b", ("a",), ()),
        ("x", (), ("a",)),
        ("c", ("b", "a"), ()),
    ]
    assert list(lines(plan))[:5] == [
        "  1. a",
        "       call Keep.dump of db: parts/dump.sh on the machines of db",
        "  2. b",
        "       after a",
        "       set the state of db to kept",
    ]
    assert plan.as_dict()["steps"][2] == {"step": "x", "after": [], "rescues": ["a"], "activities": ["set the state of db to broken"]}


def test_3_6_17_an_operation_is_put_together_from_type_node_and_call(place: Place) -> None:
    called = "{call_operation: {operation: Keep.dump, inputs: {mark: {concat: [m-, {get_attribute: [SELF, state]}]}}}}"
    (dump, check) = place.plan(flow("w", step("a", called, "on_success: b"), step("b", CHECK, "operation_host: ORCHESTRATOR"))).operations()
    assert dump.file == "parts/dump.sh" and dump.dependencies == ("parts/lib.sh",)
    assert (dump.host, dump.timeout, dump.outputs) == ("db", 60, {"size": ("db", "size")})
    assert dump.inputs == {"folder": "/srv", "name": "all {{ 1 + 1 }}", "mark": Joined(("m-", Attribute("db", "state")))}
    assert check.file == "parts/check.yml" and check.host == "", "an artifact by its name, on this machine"
    assert check.inputs["file"] == Output("db", "Keep", "dump", "file")


def test_3_6_19_target_relationship_and_its_ends(place: Place) -> None:
    text = (
        "        a: {target: reader, target_relationship: base, operation_host: TARGET, activities: [{call_operation: Link.add_target}]}\n"
    )
    (operation,) = place.plan(flow("w", text)).operations()
    assert (operation.node, operation.host, operation.inputs) == ("reader.base", "db", {"folder": "/srv"})
    assert place.codes(flow("w", text.replace("base,", "bas,"))) == ["workflow.relationship:3"]


def test_a_group_stands_for_its_members(place: Place) -> None:
    (planned,) = place.plan(flow("w", "        a: {target: both, activities: [{set_state: kept}]}\n")).steps
    assert planned.step.activities[0].nodes == ("db", "reader")


def test_inlined_workflows_stand_in_the_plan(place: Place) -> None:
    inner = flow("v", step("a", "{set_state: x}"), head=INPUTS)
    plan = place.plan(inner + flow("w", step("a", "{set_state: y}, {inline: {workflow: v, inputs: {label: abc}}}")))
    assert [planned.id for planned in plan.all()] == ["a", "a/a"]
    assert plan.steps[0].step.activities[1].inputs == {"label": "abc"}


def test_inputs_of_a_workflow_are_handed_on(place: Place) -> None:
    called = "{call_operation: {operation: Keep.dump, inputs: {label: {get_input: label}}}}"
    text = flow("w", step("a", called), head=INPUTS)
    assert place.plan(text).operations()[0].inputs["label"] == Given("label")
    assert place.codes(text) == ["input.missing:2"]
    assert place.codes(text, inputs={"label": "abcd"}) == []
    assert place.codes(text, inputs={"label": "abcde"}) == [f"property.constraint:{-HEAD.count(chr(10))}"]
    assert place.codes(text, inputs={"lable": "a"})[0].startswith("input.unknown")


REFUSED = {
    "delegate": (step("a", "{delegate: deplay}"), "workflow.delegate:3"),
    "input of an inlined workflow": (step("a", "{inline: {workflow: w, inputs: {x: 1}}}"), "input.unknown:3"),
    "workflows in a circle": (step("a", "{inline: w}"), "workflow.cycle:1"),
    "attribute of a filter": (step("a", DUMP, "filter: [{stat: [{equal: x}]}]"), "attribute.unknown:3"),
    "clause of a filter": (step("a", DUMP, "filter: [{size: [{in_rage: [1, 2]}]}]"), "constraint.unknown:3"),
    "host": (step("a", DUMP, "operation_host: dbb"), "node.unknown:3"),
    "output": (step("a", ASKING % "{get_operation_output: [db, Keep, dmp, y]}"), "operation.unknown:3"),
    "late in a token": (step("a", ASKING % "{token: [{get_attribute: [db, state]}, a, 0]}"), "workflow.late:3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(place: Place, name: str) -> None:
    text, code = REFUSED[name]
    assert code in place.codes(flow("w", text))


def test_unknown_workflow(place: Place) -> None:
    with pytest.raises(TemplateError, match=r"no workflow 'v'.*\n.*has: w"):
        place.plan(flow("w", step("a", DUMP)), "v")
    with pytest.raises(TemplateError, match="did you mean 'backup'"):
        place.plan(flow("backup", step("a", DUMP)), "bakup")


def test_preconditions_name_attributes(place: Place) -> None:
    head = "      preconditions:\n        - {target: db, condition: [{or: [{%s: [{equal: kept}]}, {size: [{greater_than: 3}]}]}]}\n"
    assert place.codes(flow("w", step("a", DUMP), head=head % "state")) == []
    assert place.codes(flow("w", step("a", DUMP), head=head % "stat")) == ["attribute.unknown:3"]


def test_undeploy_takes_down_only_what_stands_on_its_target(place: Place) -> None:
    text = flow("w", step("a", "{delegate: undeploy}"))
    assert place.codes(text) == ["workflow.undeploy:3"], "one node neither stands on it nor carries it"
    assert place.codes(text.replace("target: db", "target: all")) == [], "the reader stands on the base"


def test_a_workflow_does_not_grow_without_bounds(place: Place) -> None:
    flows = "".join(flow(f"w{n}", step("a", f"{{inline: w{n + 1}}}"), step("b", f"{{inline: w{n + 1}}}")) for n in range(20))
    with pytest.raises(TemplateError, match=f"more than {LARGEST} steps"):
        place.plan(flows + flow("w20", step("a", DUMP)), "w0")


def test_a_hostile_template_is_refused_in_bounded_time(place: Place) -> None:
    deep = "".join(flow(f"w{n}", step("a", f"{{inline: w{n + 1}}}")) for n in range(400))
    with pytest.raises(TemplateError, match="nested more than"):
        place.plan(deep + flow("w400", step("a", DUMP)), "w0")
    text = place.write(flow("w", *(f"        s{n}: {{target: g0, activities: [{DUMP}]}}\n" for n in range(1000)))).read_text(
        encoding="utf-8"
    )
    nodes = "".join(f"    n{n}: {{type: t.Base, properties: {{folder: x}}}}\n" for n in range(1000))
    groups = "".join(f"    g{n}: {{type: tosca.groups.Root, members: [n{n}, g{n + 1}, g0]}}\n" for n in range(1000))
    text = text.replace("  node_templates:\n", f"  node_templates:\n{nodes}")
    text = text.replace("  groups:\n", f"  groups:\n{groups}    g1000: {{type: tosca.groups.Root}}\n")
    (place.folder / "large.yaml").write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(TemplateError, match=r"document\.expansion"):
        load(place.folder / "large.yaml")
    assert time.process_time() - began < 5


def test_the_example_of_the_guide(place: Place) -> None:
    page = (REPOSITORY / "docs" / "how-to" / "workflows.md").read_text(encoding="utf-8")
    path = place.folder / "guide.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    facility = load(path).facility
    assert [planned.id for planned in build(facility, "backup").steps] == ["dump", "check", "alarm"]
    assert check(facility) == [], "a node that workflows act on needs no service"


def test_tosca_2_0_16(place: Place) -> None:
    text = HEAD.replace("tosca_simple_yaml_1_3", "tosca_2_0").replace("topology_template", "service_template")
    text = text.replace("get_property", "$get_property").replace("get_operation_output", "$get_operation_output")
    called = "{call_operation: {operation: Keep.dump, inputs: {x: {$concat: [a, {$get_attribute: [SELF, state]}]}}}}"
    path = place.folder / "modern.yaml"
    path.write_text(text + flow("w", step("a", called)), encoding="utf-8")
    (operation,) = build(load(path).facility, "w").operations()
    assert operation.inputs["x"] == Joined(("a", Attribute("db", "state"))) and operation.inputs["folder"] == "/srv"
