"""What cantiere_manifest asks of systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.modules import helper, module, parameters

MODULE = module("cantiere_manifest")
PROBE, RUN, PATHS, UNITS, REMOVAL = (helper(name) for name in ("probe", "run", "paths", "units", "removal"))


class Systemd:
    """Units and what was asked for."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.refuses: set[str] = set()

    def add(self, name: str, active: str = "inactive", enabled: str = "disabled", **more: str) -> None:
        """There is such a unit."""
        self.states[name] = {"ActiveState": active, "SubState": "", "UnitFileState": enabled, "LoadState": "loaded", **more}

    def units(self, names: Any) -> dict[str, dict[str, str]]:
        """Stands for ``probe.units``."""
        return {name: dict(self.states.get(name, {"LoadState": "not-found"})) for name in names}

    def systemctl(self, verb: str, names: list[str]) -> None:
        """Stands for ``units.systemctl``."""
        self.asked.append(" ".join([verb, *names]))
        for name in names:
            if name in self.refuses:
                continue
            if verb in ("enable", "disable"):
                self.states[name]["UnitFileState"] = verb + "d"
            else:
                self.states[name]["ActiveState"] = "inactive" if verb == "stop" else "active"


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A machine with three units."""
    system = Systemd()
    for name in ("one.service", "two.service", "three.service"):
        system.add(name)
    monkeypatch.setattr(PROBE, "systemd", lambda: True)
    monkeypatch.setattr(PROBE, "units", system.units)
    monkeypatch.setattr(UNITS, "systemctl", system.systemctl)
    monkeypatch.setattr(UNITS, "MOMENT", 0)
    monkeypatch.setattr(UNITS, "journal", lambda names: "its last words")
    monkeypatch.setattr(PATHS, "owner_ids", lambda run, item: [PATHS.os.getuid(), PATHS.os.getgid()])
    monkeypatch.setattr(RUN.os, "fchown", lambda *_: None)
    return system


def call(tmp_path: Path, check: bool = False, **given: Any) -> Any:
    """One call for role ``web``, with its changes."""
    wanted = parameters(MODULE.options(), role="web", digest="d", **given)
    run = RUN.Run(RUN.Record("web", wanted["part"], str(tmp_path / "state" / "manifest")), check)
    if wanted["state"] == "absent":
        REMOVAL.all_of(run)
        return run
    MODULE.converge(run, wanted)
    if not check:
        run.record.finished(run.wanted, "d", wanted["final"])
    return run


def test_one_call_for_each_kind_of_change(systemd: Systemd, tmp_path: Path) -> None:
    """All units are started and enabled together; then nothing is asked."""
    systemd.add("three.service", active="active", enabled="enabled")
    units = [{"name": "one.service"}, {"name": "two.service"}, {"name": "three.service", "state": "stopped", "enabled": False}]
    call(tmp_path, units=units)
    assert systemd.asked == [
        "disable three.service",
        "stop three.service",
        "enable one.service two.service",
        "start one.service two.service",
    ]
    systemd.asked.clear()
    assert call(tmp_path, units=units).changes == [] and systemd.asked == []


@pytest.mark.parametrize(
    ("unit", "asked"),
    [
        ({"restart_on": ["{conf}"]}, ["restart one.service"]),
        ({"reload_on": ["{conf}"]}, ["reload-or-restart one.service"]),
        ({"restart_on": ["/other"]}, []),
        ({"restart_on": ["{conf}"], "state": "stopped"}, ["stop one.service"]),
    ],
)
def test_files_move_units(systemd: Systemd, tmp_path: Path, unit: dict[str, Any], asked: list[str]) -> None:
    """A unit restarts or reloads when its file changed, and only then."""
    conf = str(tmp_path / "conf")
    systemd.add("one.service", active="active", enabled="enabled")
    units = [
        {"name": "one.service"}
        | {key: [conf if path == "{conf}" else path for path in value] if isinstance(value, list) else value for key, value in unit.items()}
    ]
    call(tmp_path, units=units, files=[{"path": conf, "content": "x"}])
    assert systemd.asked == asked


def test_a_killed_run_still_restarts(systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file was written and the run killed before the restart: the next run restarts, though the file is as it should be."""
    conf = str(tmp_path / "conf")
    systemd.add("one.service", active="active", enabled="enabled")
    given = {"units": [{"name": "one.service", "restart_on": [conf]}], "files": [{"path": conf, "content": "x"}]}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UNITS, "converge", killed)
        with pytest.raises(KeyboardInterrupt):
            call(tmp_path, **given)
    run = call(tmp_path, **given)
    assert run.changes == ["units restart: one.service"] and systemd.asked == ["restart one.service"]
    assert call(tmp_path, **given).changes == []


def test_a_new_program_restarts_its_unit(systemd: Systemd, tmp_path: Path) -> None:
    """What another module wrote restarts the unit once, compared with what was recorded last."""
    program = tmp_path / "program"
    program.write_text("1")
    systemd.add("one.service", active="active", enabled="enabled")
    given = {"units": [{"name": "one.service", "restart_on": [str(program)]}], "observed": [str(program)]}
    assert call(tmp_path, **given).changes == []
    program.write_text("2")
    assert call(tmp_path, **given).changes == ["units restart: one.service"]
    assert call(tmp_path, **given).changes == []


def test_changed_unit_files_are_read_again(systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd is told before the units are looked at."""
    monkeypatch.setattr(UNITS, "FOLDERS", (f"{tmp_path}/",))
    call(tmp_path, files=[{"path": str(tmp_path / "one.service"), "content": "x"}], units=[{"name": "one.service"}])
    assert [text.strip() for text in systemd.asked] == ["daemon-reload", "enable one.service", "start one.service"]


def test_a_unit_that_ends_at_once_is_refused(systemd: Systemd, tmp_path: Path) -> None:
    """The refusal names the unit, its last words and a remedy; the manifest stays unfinished."""
    systemd.refuses.add("one.service")
    with pytest.raises(RUN.Refusal, match=r"(?s)one.service is inactive.*its last words.*remedy: .*journalctl -u one.service"):
        call(tmp_path, units=[{"name": "one.service"}])
    assert PROBE.manifests(str(tmp_path / "state" / "manifest"))["web"]["digest"] == ""


def test_a_unit_whose_conditions_are_not_met_may_wait(systemd: Systemd, tmp_path: Path) -> None:
    """Such as a kubelet before its configuration is there."""
    systemd.add("one.service", ConditionResult="no")
    systemd.refuses.add("one.service")
    call(tmp_path, units=[{"name": "one.service"}])


def test_removal_puts_units_back(systemd: Systemd, tmp_path: Path) -> None:
    """What ran before the role runs on; what the role started stops."""
    systemd.add("two.service", active="active", enabled="enabled")
    call(
        tmp_path, units=[{"name": "one.service"}, {"name": "two.service"}, {"name": "three.service", "state": "stopped", "enabled": False}]
    )
    systemd.asked.clear()
    call(tmp_path, state="absent")
    assert systemd.asked == ["stop one.service", "disable one.service"]


def test_without_systemd_units_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that systemd has not started cannot have units."""
    monkeypatch.setattr(PROBE, "systemd", lambda: False)
    with pytest.raises(RUN.Refusal, match="systemd does not run here"):
        call(tmp_path, units=[{"name": "one.service"}])


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, []),
        ({"ActiveState": "inactive"}, ["unit x is inactive"]),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, ["unit x is restarting again and again"]),
        ({"ActiveState": "activating", "SubState": "start-pre"}, []),
        ({"UnitFileState": "disabled"}, ["unit x is disabled"]),
        ({"UnitFileState": "static"}, []),
        ({"LoadState": "not-found"}, ["unit x is not-found"]),
        ({"LoadState": "masked"}, ["unit x is masked"]),
    ],
)
def test_drift_of_units(seen: dict[str, str], said: list[str]) -> None:
    """What the probe says of a unit that is to be enabled and running."""
    good = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled", "LoadState": "loaded"}
    assert PROBE.unit_drift("x", {"enabled": True, "state": "started"}, {**good, **seen}) == said
