"""Workflows as they run: order, failures, filters, preconditions, what is kept; scripts and playbooks for real."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere import cli
from cantiere.errors import CantiereError, Location, PreflightError, Problem, TemplateError
from cantiere.model import Facility, Node
from cantiere.progress import Progress
from cantiere.runner import Run
from cantiere.tosca.compile import load
from cantiere.up import outputs
from cantiere.workflows import calls, run
from cantiere.workflows.files import Files
from cantiere.workflows.memory import Memory
from cantiere.workflows.model import Operation
from cantiere.workflows.plan import build
from cantiere.workflows.run import Flow, _placed
from cantiere.workspace import open_site
from unit.workflows.samples import Place, flow, step

DUMP = "{call_operation: Keep.dump}"
CHECK = "{call_operation: Keep.check}"
FILE = {"file": "/srv/a"}


class Calls:
    """Stands for Ansible: what is called with which inputs, and what fails.

    Parameters
    ----------
    failing:
        Names of operations that fail.
    """

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.made: list[tuple[str, dict[str, Any]]] = []

    def __call__(
        self, workspace: object, operation: Operation, inputs: Mapping[str, Any], files: object, progress: object
    ) -> dict[str, str]:
        self.made.append((operation.name, dict(inputs)))
        if operation.name in self.failing:
            raise CantiereError(Problem("ansible.task", "no room", "make room"))
        return {**FILE, "size": "7"} if operation.name == "dump" else {}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()
    monkeypatch.setattr(run, "call", found)
    monkeypatch.setattr(run.preflight, "rights", lambda workspace: [])
    return found


def made(place: Place, text: str, name: str = "w", inputs: Mapping[str, Any] | None = None) -> Flow:
    workspace = place.open(text, name, inputs)
    return Flow(workspace, build(workspace.facility, name), True)


def states(done: Flow) -> dict[str, str]:
    return {item["step"]: item["state"] for item in done.steps}


def test_outputs_of_an_operation_reach_later_ones_and_are_kept(place: Place, called: Calls) -> None:
    done = made(place, flow("w", step("a", DUMP, "on_success: b, on_failure: x"), step("b", CHECK), step("x", "{set_state: broken}")))
    done.run()
    assert states(done) == {"a": "done", "b": "done"}
    assert called.made == [("dump", {"folder": "/srv", "name": "all {{ 1 + 1 }}"}), ("check", {"folder": "/srv", **FILE})]
    kept = Memory(place.folder / "state", done.workspace.facility)
    assert kept.outputs == {"db.Keep.dump": {**FILE, "size": "7"}, "db.Keep.check": {}}
    assert kept.attribute("db", "size") == "7" and kept.attribute("db", "folder") == "/srv" and kept.attribute("db", "state") == "initial"
    assert (place.folder / "state" / "workflows.json").stat().st_mode & 0o777 == 0o600


def test_outputs_of_the_template_are_what_operations_gave_back(place: Place, called: Calls) -> None:
    done = made(place, flow("w", step("a", DUMP)))
    assert outputs(done.workspace) == {"folder": "/srv"}
    done.run()
    assert outputs(done.workspace) == {"file": FILE["file"], "size": "7", "folder": "/srv"}


def test_a_failure_is_followed_and_told(place: Place, called: Calls) -> None:
    steps = step("a", f"{DUMP}, {{set_state: kept}}", "on_success: b, on_failure: x"), step("b", CHECK), step("c", "{set_state: seen}")
    done = made(place, flow("w", *steps, step("x", "{set_state: broken}", "on_success: y"), step("y", CHECK)))
    called.failing = ("dump", "check")
    with pytest.raises(CantiereError) as caught:
        done.run()
    assert states(done) == {"a": "failed", "c": "done", "x": "done", "y": "failed"}
    first, second, last = caught.value.problems
    assert first.message == "step a: no room" and first.where is not None and first.where.file.endswith("books.yaml")
    assert second.message.startswith("step y: db.Keep.dump has not given 'file'")
    assert last.code == "workflow.left" and last.message.endswith("failed: b")
    assert Memory(place.folder / "state", done.workspace.facility).attribute("db", "state") == "broken"


def test_filters_pass_over_and_the_rest_goes_on(place: Place, called: Calls) -> None:
    wanted = "filter: [{not: [{state: [{equal: initial}]}]}]"
    done = made(place, flow("w", step("a", DUMP, f"{wanted}, on_success: b"), step("b", "{set_state: kept}")))
    done.run()
    assert states(done) == {"a": "passed over: what must not hold does hold", "b": "done"} and called.made == []


def test_preconditions_are_asked_first(place: Place, called: Calls) -> None:
    head = "      preconditions: [{target: db, condition: [{state: [{equal: kept}]}, {size: [{greater_than: 3}]}]}]\n"
    done = made(place, flow("w", step("a", "{set_state: x}"), head=head))
    with pytest.raises(PreflightError) as caught:
        done.run()
    assert [problem.code for problem in caught.value.problems] == ["workflow.precondition"] * 2
    assert "state of db is 'initial': it must be kept" in str(caught.value) and not (place.folder / "state").exists()
    done.memory.attributes = {"db": {"state": "kept", "size": 4}}
    done.run()
    assert states(done) == {"a": "done"}


def test_inlined_workflows_get_their_inputs(place: Place, called: Calls) -> None:
    call = "{call_operation: {operation: Keep.dump, inputs: {name: {concat: [{get_input: label}, -, {get_input: more}]}}}}"
    inner = flow("v", step("a", call), head="      inputs: {label: {type: string}, more: {type: string, default: x}}\n")
    outer = flow("w", step("a", "{inline: {workflow: v, inputs: {label: {get_input: top}}}}"), head="      inputs: {top: {type: string}}\n")
    done = made(place, inner + outer, inputs={"top": "abc"})
    assert done.workspace.inputs == {}, "what up asks for has no inputs of workflows"
    done.run()
    assert [inputs["name"] for _, inputs in called.made] == ["abc-x"] and states(done) == {"a/a": "done", "a": "done"}


def test_an_operation_without_an_implementation_does_nothing(place: Place, called: Calls) -> None:
    done = made(place, flow("w", step("a", "{call_operation: Keep.rest}")))
    done.run()
    assert states(done) == {"a": "done"} and called.made == []


def test_delegates_to_up_and_down(place: Place, called: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[str] = []
    monkeypatch.setattr(run, "raised", lambda workspace, as_json, head: went.append("up"))
    monkeypatch.setattr(run.raising, "take_down", lambda workspace, images, as_json: went.append("down"))
    step_ = "        %s: {target: all, activities: [{delegate: %s}]%s}\n"
    done = made(place, flow("w", step_ % ("a", "deploy", ", on_success: b"), step_ % ("b", "undeploy", "")))
    done.run()
    assert went == ["up", "down"] and done.memory.attribute("db", "state") == "started"


@pytest.mark.parametrize(
    ("file", "code"), [("../outside.sh", "operation.file"), ("parts/none.sh", "operation.file"), ("parts/a.rb", "operation.kind")]
)
def test_only_files_of_the_templates_folder_run(place: Place, called: Calls, file: str, code: str) -> None:
    (place.folder.parent / "outside.sh").write_text("true\n", encoding="utf-8")
    (place.folder / "parts" / "a.rb").write_text("true\n", encoding="utf-8")
    place.open(flow("w", step("a", DUMP)))
    template = place.folder / "books.yaml"
    template.write_text(template.read_text(encoding="utf-8").replace("parts/dump.sh, d", f"{file}, d"), encoding="utf-8")
    workspace = open_site(str(place.folder / "cantiere.yml"), None, {}, None)
    with pytest.raises(TemplateError) as caught:
        Flow(workspace, build(workspace.facility, "w"), True).run()
    assert [problem.code for problem in caught.value.problems] == [code] and called.made == []


def test_a_link_out_of_the_folder_is_refused(place: Place) -> None:
    (place.folder.parent / "outside.sh").write_text("true\n", encoding="utf-8")
    (place.folder / "parts" / "dump.sh").unlink()
    (place.folder / "parts" / "dump.sh").symlink_to("../../outside.sh")
    assert Files(place.folder / "books.yaml", place.folder).path("parts/dump.sh") is None


def test_scripts_of_an_archive(place: Place, tmp_path: Path) -> None:
    (place.folder / "parts" / "dump.sh").write_text("echo from the archive\n", encoding="utf-8")
    archive = tmp_path / "kept" / "books.csar"
    archive.parent.mkdir()
    assert cli.main(["export", str(place.write(flow("w", step("a", DUMP)))), "--csar", str(archive)]) == 0
    (archive.parent / "outside.sh").touch()
    files = Files(archive, tmp_path / "run")
    operations = build(load(archive).facility, "w").operations()
    assert [operation.file for operation in operations] == ["parts/dump.sh"] and list(files.check(operations)) == []
    found = files.path("parts/dump.sh")
    assert found is not None and found.read_text(encoding="utf-8") == "echo from the archive\n"
    assert files.path("../outside.sh") is None, "beside the archive is not in it"


def test_scripts_and_playbooks_run_for_real(place: Place) -> None:
    parts = place.folder / "parts"
    (parts / "lib.sh").write_text('give() { echo "$1=$2" >> "$CANTIERE_OUTPUTS"; }\n', encoding="utf-8")
    (parts / "dump.sh").write_text(
        '. ./lib.sh\ngive said "$name"\ngive seen "$(tr "\\0" " " < /proc/$PPID/cmdline | grep -c "1 + 1")"\n', encoding="utf-8"
    )
    (parts / "check.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.set_stats: {data: {read: '{{ file }}', host: '{{ inventory_hostname }}'}}\n",
        encoding="utf-8",
    )
    workspace = place.open(flow("w", step("a", DUMP, "on_success: b"), step("b", CHECK, "operation_host: ORCHESTRATOR")))
    dump, check = build(workspace.facility, "w").operations()
    files, progress = Files(workspace.site.template, place.folder), Progress(quiet=True)
    assert calls.machines(workspace, "db") == ("books",)
    said = calls.call(workspace, dump, dict(dump.inputs), files, progress)
    assert said == {"said": "all {{ 1 + 1 }}", "seen": "0"}, "no text of a template is evaluated, none stands in a command line"
    assert calls.call(workspace, check, {"file": "{{ 1 + 1 }}"}, files, progress) == {"read": "{{ 1 + 1 }}", "host": "localhost"}
    (parts / "dump.sh").write_text("echo no room >&2\nexit 3\n", encoding="utf-8")
    with pytest.raises(CantiereError, match="the script ended with 3: no room"):
        calls.call(workspace, dump, {}, files, progress)


def test_where_operations_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def node(name: str, **requirements: tuple[str, ...]) -> Node:
        return Node(name, "t", {}, requirements, Location("a"))

    facility = Facility("lab", "", (node("pool"), node("vm", host=("pool",)), node("app", host=("vm",)), node("hub")), {})
    fleet = SimpleNamespace(machines=lambda: [SimpleNamespace(name=name, pool=name[:4]) for name in ("pool-1", "pool-2", "rest-1")])
    kubeconfig = place.folder / "kubeconfig"
    cluster = SimpleNamespace(kubeconfig=kubeconfig)
    site = SimpleNamespace(name="lab", file=place.folder / "cantiere.yml", template=place.folder / "books.yaml")
    workspace: Any = SimpleNamespace(facility=facility, fleet=fleet, cluster=cluster, site=site)
    assert calls.machines(workspace, "app") == ("pool-1", "pool-2") and calls.machines(workspace, "vm.host") == ("pool-1", "pool-2")
    assert calls.machines(workspace, "hub") == ()
    refused = list(_placed(workspace, [Operation("hub", "Keep", "dump", Location("a"), "dump.sh", host="hub")]))
    assert [problem.code for problem in refused] == ["workflow.machine"] and "ORCHESTRATOR" in refused[0].remedy

    ran: list[tuple[list[str], dict[str, str]]] = []

    def ansible(words: list[str], folder: Path, environment: dict[str, str], progress: Progress) -> Run:
        ran.append((words, environment))
        return Run()

    monkeypatch.setattr(calls, "ansible", ansible)
    monkeypatch.setattr(calls, "variables", lambda workspace: {})
    files, quiet = Files(site.template, place.folder), Progress(quiet=True)
    for host in ("app", ""):
        calls.call(workspace, Operation("app", "Keep", "dump", Location("a"), "parts/dump.sh", host=host), {}, files, quiet)
        kubeconfig.touch()
    assert [words[:4] for words, _ in ran] == [["-i", str(site.file), "--limit", "pool-1,pool-2"], ["-i", "localhost,", "-c", "local"]]
    assert [environment.get("KUBECONFIG") for _, environment in ran] == [None, str(kubeconfig)]


def test_the_command_line(place: Place, called: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    place.open(flow("w", step("a", DUMP)))
    site = ["--site", str(place.folder / "cantiere.yml")]
    assert cli.main(["run", "w", *site, "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["step"] == "a"
    assert cli.main(["run", "w", *site]) == 0
    assert "w: 1 steps done" in (told := capsys.readouterr().out) and "db.Keep.dump gave file, size" in told and "/srv/a" not in told
    assert cli.main(["run", "w", *site, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == {"db.Keep.dump": {**FILE, "size": "7"}}
    called.failing = ("dump",)
    assert cli.main(["run", "w", *site]) == 1
    assert "step a: no room" in capsys.readouterr().err
    assert cli.main(["run", "v", *site]) == 3


def test_validate_tells_nodes_that_workflows_alone_act_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.fspath(place.write(flow("w", "        a: {target: both, activities: [{set_state: x}]}\n")))
    assert cli.main(["validate", path]) == 3, "nothing acts on the third node"
    assert "nothing here runs a tosca.nodes.Root" in (told := capsys.readouterr().err) and "t.Base" not in told
    place.write(
        flow("w", "        a: {target: both, activities: [{set_state: x}]}\n        b: {target: alone, activities: [{set_state: x}]}\n")
    )
    assert cli.main(["validate", path]) == 0
    assert capsys.readouterr().err.count("[node.workflow]") == 3
