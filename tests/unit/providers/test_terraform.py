"""The provider terraform with a stand-in for its program: what it asks for, refuses, finds again and tells."""

from __future__ import annotations

import json
import stat
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError, TemplateError
from cantiere.machines.model import Machine, Opening
from cantiere.providers.choose import provider_of
from cantiere.providers.terraform import Terraform, options, orphans, seen
from cantiere.providers.terraform.batch import Batch
from cantiere.providers.terraform.program import JOURNAL, told
from cantiere.providers.terraform.root import Root
from cantiere.site import load
from cantiere.supply.pins import Anywhere
from support.tree import REPOSITORY

LINEAGE = "3f0c"
KUBERNETES = {"virtual_address": "10.30.0.10"}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
DOOR = Opening("door", 30443, 30443)
WORKERS = tuple(Machine(f"worker-{number}", "worker", ("worker",), "") for number in (1, 2, 3))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """A site's ``provider:`` with a module of its own and the stand-in as its program."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "main.tf").write_text('output "machines" {\n  value = {}\n}\n', encoding="utf-8")
    program = tmp_path / "tofu"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {REPOSITORY}/tests/support/small_tofu.py "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    network = {"subnet": "10.30.0.0/24"}
    return {
        "type": "terraform",
        "module": str(module),
        "program": str(program),
        "image": "debian-13",
        "network": network,
        "admin_cidrs": ["192.0.2.0/24"],
        "variables": {"zone": "a", "note": '${file("/etc/passwd")}'},
    }


def provider(tmp_path: Path, given: dict[str, Any]) -> Terraform:
    return Terraform("lab", tmp_path / "state", given, KUBERNETES, Anywhere())


def fault(source: Terraform, **faults: Any) -> None:
    (source.folder / "faults.json").write_text(json.dumps(faults), encoding="utf-8")


def calls(source: Terraform, verb: str) -> list[str]:
    return [line for line in (source.folder / "calls").read_text(encoding="utf-8").splitlines() if line.split()[0] == verb]


def made(source: Terraform, *machines: Machine) -> None:
    """Machines asked for at the same time."""
    placed, problems = source.place(machines)
    assert problems == []
    with ThreadPoolExecutor(len(placed)) as pool:
        for done in [pool.submit(source.make, machine) for machine in placed]:
            done.result()


def test_from_nothing_and_back(tmp_path: Path, given: dict[str, Any]) -> None:
    """Machines that are asked for together are made in one run, are seen as they are, and nothing is left when they go."""
    source = provider(tmp_path, given)
    assert (source.prepared(), source.holds(), dict(source.observe())) == (False, False, {})
    assert source.check([CONTROL, *WORKERS]) == []
    assert not source.holds()
    source.prepare(LINEAGE, print)
    assert source.prepared() and source.holds()
    before = len(calls(source, "apply"))
    made(source, CONTROL, *WORKERS)
    assert len(calls(source, "apply")) - before < 3, "machines asked for together are made together"
    found = source.observe()
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(("control-1", "worker-1", "worker-2", "worker-3"), "running")
    placed, _ = provider(tmp_path, given).place([WORKERS[0], CONTROL])
    assert [machine.address for machine in placed] == [found["worker-1"].address, found["control-1"].address]
    assert placed[0].jump == "control-1" and placed[0].host_key == found["worker-1"].host_key
    assert found["worker-1"].digest == source.digest(WORKERS[0])
    source.stop("worker-1")
    assert source.observe()["worker-1"].state == "stopped"
    source.delete("worker-2")
    assert set(source.observe()) == {"control-1", "worker-1", "worker-3"}
    source.release()
    assert not source.holds() and not source.folder.exists()
    source.release()


def test_secrets_stay(tmp_path: Path, given: dict[str, Any]) -> None:
    """Host keys are in the record alone, which is its owner's; texts of a site are never expressions."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL)
    secret = "PRIVATE KEY"
    holding = [path.name for path in source.folder.iterdir() if path.is_file() and secret in path.read_text(encoding="utf-8")]
    assert holding == ["terraform.tfvars.json"]
    for name in ("terraform.tfvars.json", "terraform.tfstate", "last.tfplan", "main.tf.json"):
        assert stat.S_IMODE((source.folder / name).stat().st_mode) == 0o600, name
    document = json.loads(source.root.main.read_text(encoding="utf-8"))
    assert document["variable"]["user_data"] == {"sensitive": True}
    assert document["module"]["facility"]["note"] == "${var.note}" and "passwd" not in source.root.main.read_text(encoding="utf-8")
    assert json.loads(source.root.file.read_text(encoding="utf-8"))["note"] == given["variables"]["note"]


def test_one_of_several_fails(tmp_path: Path, given: dict[str, Any]) -> None:
    """Who asked for the machine that failed is told; the others have theirs; the next run makes it anew with the same key."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    fault(source, failing=["worker-2"])
    with pytest.raises(CantiereError, match=r"worker-2.*no host has room") as error:
        made(source, CONTROL, *WORKERS)
    assert [(problem.code, problem.path) for problem in error.value.problems] == [("terraform.apply", "worker-2")]
    found = source.observe()
    assert {name for name, one in found.items() if one.state == "broken"} == {"worker-2"}
    assert "half-made" in found["worker-2"].detail["why"]
    key = source.root.machines()["worker-2"]["host_key"]
    fault(source)
    made(source, WORKERS[1])
    again = source.observe()["worker-2"]
    assert (again.state, again.host_key) == ("running", key)


def test_goes_on_after_a_kill(tmp_path: Path, given: dict[str, Any]) -> None:
    """What a killed run made and did not write down is taken into the state, and is not made twice."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    fault(source, killed="worker-1")
    with pytest.raises(CantiereError):
        made(source, WORKERS[0])
    fault(source)
    again = provider(tmp_path, given)
    assert again.observe()["worker-1"].state == "broken"
    again.prepare(LINEAGE, print)
    assert {line.split()[3] for line in calls(again, "import")} == {
        'module.facility.server.machine["worker-1"]',
        'module.facility.port.machine["worker-1"]',
    }
    assert again.observe()["worker-1"].state == "running"
    assert not (again.folder / "journal").exists()


def test_orphans(tmp_path: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are removed after a run that was cut off, and when everything goes; after the plan, so that no other run is under way."""
    asked: list[Any] = []
    source = provider(tmp_path, given)

    def remove(_options: options.Options, *given: Any) -> None:
        asked.append((*given[:3], [line.split()[0] for line in (source.folder / "calls").read_text(encoding="utf-8").splitlines()][-3:]))

    monkeypatch.setattr(orphans, "remove", remove)
    source.prepare(LINEAGE, print)
    made(source, CONTROL)
    assert asked == []
    (source.folder / JOURNAL).write_text("", encoding="utf-8")
    source.prepare(LINEAGE, print)
    known = {item["id"] for item in json.loads((source.folder / "terraform.tfstate").read_text(encoding="utf-8")).values()}
    assert asked == [("lab", LINEAGE, known, ["plan", "show", "show"])]
    source.prepare(LINEAGE, print)
    source.release()
    assert asked[1:] == asked[:1]


def test_it_speaks_beside_its_answer(tmp_path: Path, given: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    """Who calls in a process of its own reads an answer from standard output; nothing else goes there."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL)
    source.delete("control-1")
    source.release()
    said = capfd.readouterr()
    assert said.out == "" and "terraform: delete module.facility.network.shared" in said.err


def test_what_nobody_asked_for(tmp_path: Path, given: dict[str, Any]) -> None:
    """A plan that would make a machine anew that goes on is refused before anything is done."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL)
    before = len(calls(source, "apply"))
    fault(source, replaced=["control-1"])
    with pytest.raises(CantiereError, match=r"would be replaced, which nobody asked for.*\[terraform.replaces\]"):
        made(source, WORKERS[0])
    assert len(calls(source, "apply")) == before
    with pytest.raises(CantiereError, match=r"made from another specification \[terraform.differs\]"):
        placed, _ = source.place([Machine("control-1", "control", ("control-plane",), "", needs={"num_cpus": 16})])
        source.make(placed[0])


def test_another_run(tmp_path: Path, given: dict[str, Any]) -> None:
    """Where another run holds the state, this one ends and says so; looking still works."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    fault(source, locked=True)
    with pytest.raises(CantiereError, match=r"another run holds Terraform's state.*\[terraform.locked\]"):
        made(source, CONTROL)
    assert source.observe()["control-1"].state == "broken"


def test_record_lost(tmp_path: Path, given: dict[str, Any]) -> None:
    """Without its record nothing is made; the facility can still be taken down."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL)
    source.root.file.unlink()
    again = provider(tmp_path, given)
    with pytest.raises(CantiereError, match=r"control-1, and the record of what they are is gone \[terraform.record\]"):
        again.prepare(LINEAGE, print)
    assert again.holds()
    again.release()
    assert not again.folder.exists()


def test_address_of_the_outside_is_gone(tmp_path: Path, given: dict[str, Any]) -> None:
    """A machine that nobody reaches any more is not whole; the next run completes it, and it keeps its host key."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL, WORKERS[0])
    key = source.observe()["control-1"].host_key
    fault(source, doorless=["control-1"])
    found = source.observe()
    assert {name: one.state for name, one in found.items()} == {"control-1": "broken", "worker-1": "running"}
    assert found["control-1"].detail["why"] == "its address of the outside is gone"
    fault(source)
    made(source, CONTROL)
    assert source.observe()["control-1"].host_key == key


def test_what_is_let_in(tmp_path: Path, given: dict[str, Any]) -> None:
    """What the template asks to be public is open to the site's public, nothing else to the world; changes are told with who asks."""
    new, known = provider(tmp_path, given), ("lab", tmp_path / "state")
    assert not new.whole() and "group machines opens tcp 22 to 192.0.2.0/24, asked for by admin_cidrs" in new.adjustments()
    new.prepare(LINEAGE, print)
    assert new.prepared() and new.whole() and new.adjustments() == ()
    public = Terraform(*known, given, KUBERNETES, Anywhere(), None, [DOOR])
    told = "group machines opens tcp 30443 to 0.0.0.0/0, asked for by node door of the template"
    assert (public.prepared(), public.whole(), public.adjustments()) == (False, True, (told,))
    public.prepare(LINEAGE, print)
    assert public.prepared() and public.adjustments() == ()
    world = [rule for rule in public.root.read()["rules"] if rule["source"] == "0.0.0.0/0"]
    assert world == [{"group": "machines", "protocol": "tcp", "port": 30443, "last": 0, "source": "0.0.0.0/0"}]
    campus = Terraform(*known, {**given, "public_cidrs": ["198.51.100.0/24"]}, KUBERNETES, Anywhere(), None, [DOOR])
    closes = "group machines closes tcp 30443 to 0.0.0.0/0"
    assert campus.adjustments() == (told.replace("0.0.0.0/0", "198.51.100.0/24"), closes)
    other = Terraform(*known, {**given, "variables": {"zone": "b", "note": "x"}}, KUBERNETES, Anywhere())
    assert other.adjustments() == (closes, "the module gets another note", "the module gets another zone")


def test_ports_of_a_pool(tmp_path: Path, given: dict[str, Any]) -> None:
    """They are open on the pool's machines alone; a machine that was made before joins the pool's group."""
    source = provider(tmp_path, given)
    source.prepare(LINEAGE, print)
    made(source, CONTROL, WORKERS[0])
    assert source.root.machines()["worker-1"]["groups"] == ["machines"]
    doors = [Opening("worker", 9000, 9010, "udp", "198.51.100.0/24", "worker")]
    opened = Terraform("lab", tmp_path / "state", given, KUBERNETES, Anywhere(), None, doors)
    assert opened.adjustments() == (
        "group pool-worker opens udp 9000-9010 to 198.51.100.0/24, asked for by node worker of the template",
        "machine worker-1 joins group pool-worker",
    )
    opened.prepare(LINEAGE, print)
    assert opened.adjustments() == ()
    assert {name: one["groups"] for name, one in opened.root.machines().items()} == {
        "control-1": ["control-plane", "machines"],
        "worker-1": ["machines", "pool-worker"],
    }
    rule = {"group": "pool-worker", "protocol": "udp", "port": 9000, "last": 9010, "source": "198.51.100.0/24"}
    assert rule in opened.root.read()["rules"]


def test_site_hands_its_public_ports_over(tmp_path: Path, given: dict[str, Any]) -> None:
    """Ports that the template asks for reach the provider by the site."""
    file, state = tmp_path / "cantiere.yml", str(tmp_path / "state")
    site = {"site": "lab", "template": "none.yaml", "platform": "kubernetes", "provider": given, "state_dir": state}
    file.write_text(json.dumps(site), encoding="utf-8")
    source = provider_of(load(file), {}, [DOOR])
    assert "group machines opens tcp 30443 to 0.0.0.0/0, asked for by node door of the template" in source.adjustments()


def test_preflight(tmp_path: Path, given: dict[str, Any]) -> None:
    """What the program says of a plan is told before anything is made."""
    source = provider(tmp_path, given)
    assert source.check([CONTROL]) == []
    fault(source, refused="10.30.0.0/24")
    assert [(problem.code, problem.message) for problem in source.check([CONTROL])] == [("terraform.plan", "no such network")]
    lost = provider(tmp_path, {**given, "program": "/nowhere/tofu"})
    assert [problem.code for problem in lost.check([Machine("Not_Valid", "x", (), ""), CONTROL])] == ["terraform.program", "terraform.name"]
    assert [problem.code for problem in source.check([WORKERS[0]])] == ["terraform.door"]


def test_options(tmp_path: Path) -> None:
    """Everything that is wrong with the options is told at once, with its place."""
    file = tmp_path / "cantiere.yml"
    file.write_text(
        "provider:\n  type: terraform\n  module: nowhere\n  image: debian-13\n  modul: x\n  network: {subnet: 10.30.0.0/30}\n"
        "  admin_cidrs: [192.0.2.0/24]\n  variables: {machines: 3, password: x}\n  backend: s3\n",
        encoding="utf-8",
    )
    import yaml

    written = yaml.safe_load(file.read_text(encoding="utf-8"))["provider"]
    with pytest.raises(TemplateError) as error:
        Terraform("lab", tmp_path / "state", written, KUBERNETES, Anywhere(), file)
    assert {problem.code for problem in error.value.problems} == {"terraform.option"}
    assert sorted((problem.path, problem.where.line if problem.where else 0) for problem in error.value.problems) == [
        ("provider.backend", 9),
        ("provider.modul", 5),
        ("provider.module", 3),
        ("provider.network.subnet", 6),
        ("provider.variables.machines", 8),
        ("provider.variables.password", 8),
    ]


def test_our_module_keeps_the_contract() -> None:
    """Our module declares every variable that modules are given, and gives the outputs that are read."""
    folder = options.MODULES / "openstack"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
    assert not [name for name in options.GIVEN if f'variable "{name}"' not in text]
    read, problems = options.read(
        {"module": "openstack", "image": "x", "network": {"subnet": "10.30.0.0/24"}, "admin_cidrs": ["192.0.2.0/24"]}, None
    )
    assert read is not None and problems == []
    assert set(Root(Path("/nowhere"), read).document()["output"]) == {"machines", "strays"}


def test_together() -> None:
    """Callers that come while a run is under way share the next one, and each hears of its own failure alone."""
    runs: list[Sequence[str]] = []
    entered, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[str]) -> list[BaseException | None]:
        runs.append(items)
        entered.set()
        assert go_on.wait(10)
        return [ValueError(item) if item == "bad" else None for item in items]

    batch = Batch(work)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batch.ask, "first")
        assert entered.wait(10)
        later = {name: pool.submit(batch.ask, name) for name in ("good", "bad", "fine")}
        while len(batch._waiting) < 3:
            threading.Event().wait(0.01)
        go_on.set()
        first.result()
        assert later["good"].result() is None and later["fine"].result() is None
        with pytest.raises(ValueError, match="bad"):
            later["bad"].result()
    assert [sorted(run) for run in runs] == [["first"], ["bad", "fine", "good"]]


def test_what_machines_share_stays() -> None:
    """While machines go on, nothing that they share is made anew; rules come and go, and without machines everything may."""
    change = {"actions": ["delete", "create"], "replace_paths": [["cidr"]]}
    plan = {"resource_changes": [{"address": "subnet", "change": change}, {"address": "rule", "index": "tcp 22", "change": change}]}
    assert [str(problem).partition("\n")[0] for problem in seen.refused(plan, {"w-1"})] == [
        "terraform: subnet would be replaced, which nobody asked for (cidr changed) [terraform.replaces]"
    ]
    assert seen.refused(plan, ()) == []


def test_words_of_the_program() -> None:
    """Errors as JSON name the machine whose object failed; those as text are told without ornament; secrets of a snippet are not."""
    line = {"@level": "error", "diagnostic": {"summary": "Error creating", "detail": "409", "address": 'module.f.x.machine["w-1"]'}}
    line["diagnostic"]["snippet"] = {"values": ["secret"]}  # type: ignore[index]
    problem = told("apply", json.dumps(line) + "\nnoise", Path("/s"))[0]
    assert (problem.code, problem.path) == ("terraform.apply", "w-1") and "secret" not in str(problem)
    assert told("init", "\x1b[31m╷\n│ Error: no plugin\n╵", Path("/s"))[0].message == "Error: no plugin"


def test_journal() -> None:
    """What a run had made and what it was making are read from its journal, the last line of which may be cut off."""
    lines = [
        {"type": kind, "hook": {"action": "create", "resource": {"addr": address}, **more}}
        for kind, address, more in (
            ("apply_start", "a", {}),
            ("apply_start", "b", {}),
            ("apply_start", "c", {}),
            ("apply_complete", "a", {"id_value": "7"}),
            ("apply_errored", "b", {}),
        )
    ]
    journal = "\n".join(map(json.dumps, lines)) + '\n{"type": "app'
    assert seen.made(journal) == {"a": "7"}
    assert seen.begun(journal) == {"c"}
