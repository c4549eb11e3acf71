"""What cantiere_manifest does to files: what it changes, records, keeps and takes away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from support.modules import helper, module, parameters

MODULE = module("cantiere_manifest")
PROBE, RUN, PATHS, UNITS, REMOVAL = (helper(name) for name in ("probe", "run", "paths", "units", "removal"))
Converge = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where manifests are kept."""
    return tmp_path / "state" / "manifest"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the role has its things."""
    path = tmp_path / "machine"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests stands for root."""
    monkeypatch.setattr(PATHS, "owner_ids", lambda run, item: [PATHS.os.getuid(), PATHS.os.getgid()])
    monkeypatch.setattr(RUN.os, "fchown", lambda *_: None)
    monkeypatch.setattr(PATHS.os, "chown", lambda *_, **__: None)


@pytest.fixture
def converge(folder: Path) -> Converge:
    """One call of the module for role ``web``."""

    def do(check: bool = False, digest: str = "d", **given: Any) -> Any:
        wanted = parameters(MODULE.options(), role="web", digest=digest, **given)
        run = RUN.Run(RUN.Record("web", wanted["part"], str(folder)), check)
        if wanted["state"] == "absent":
            REMOVAL.all_of(run)
        else:
            MODULE.converge(run, wanted)
            if not check:
                run.record.finished(run.wanted, digest, wanted["final"])
        return run

    return do


def test_documentation_is_what_the_module_takes() -> None:
    """Names, types, defaults and choices of the documentation are those of the specification."""

    def compare(documented: dict[str, Any], specified: dict[str, Any], where: str) -> None:
        assert documented.keys() == specified.keys(), where
        for name, option in documented.items():
            for key, default in (("type", "str"), ("default", None), ("required", False), ("choices", None), ("elements", None)):
                assert option.get(key, default) == specified[name].get(key, default), f"{where}.{name}: {key}"
            compare(option.get("suboptions", {}), specified[name].get("options", {}), f"{where}.{name}")

    compare(yaml.safe_load(MODULE.DOCUMENTATION)["options"], MODULE.options(), "options")


def test_second_run_changes_nothing(converge: Converge, folder: Path, root: Path) -> None:
    """What is as it should be is left alone, and the probe finds it intact."""
    hosts = root / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    given = {
        "directories": [{"path": str(root / "data"), "mode": "0750"}],
        "files": [{"path": str(root / "etc" / "web.conf"), "content": "port 80\n", "mode": "0640"}],
        "blocks": [{"path": str(hosts), "content": "10.0.0.1 web"}],
        "links": [{"path": str(root / "current"), "target": "data"}],
        "absent": [str(root / "old")],
    }
    (root / "old").mkdir()
    first = converge(**given)
    assert len(first.changes) == 6
    before = (folder / "web.json").stat().st_mtime_ns
    assert converge(**given).changes == []
    assert (folder / "web.json").stat().st_mtime_ns == before, "an unchanged manifest is not written again"
    assert PROBE.manifests(str(folder)) == {"web": {"digest": "d", "drift": []}}
    assert (folder / "web.json").stat().st_mode & 0o777 == 0o600
    assert hosts.read_text().splitlines()[0] == "127.0.0.1 localhost"


def test_check_mode_touches_nothing(converge: Converge, folder: Path, root: Path) -> None:
    """Check mode tells the same changes and makes none."""
    given = {"files": [{"path": str(root / "a" / "b"), "content": "x"}], "links": [{"path": str(root / "l"), "target": "a"}]}
    told = converge(check=True, **given).changes
    assert list(root.iterdir()) == [] and not folder.exists()
    assert converge(**given).changes == told


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda root: (root / "web.conf").write_text("other"), "file {root}/web.conf changed"),
        (lambda root: (root / "web.conf").unlink(), "file {root}/web.conf is gone"),
        (lambda root: (root / "web.conf").chmod(0o666), "{root}/web.conf has mode 0666, not 0644"),
        (lambda root: (root / "data").rmdir(), "directory {root}/data is gone"),
        (lambda root: (root / "link").unlink(), "link {root}/link does not lead to data"),
        (lambda root: (root / "hosts").write_text("x\n"), "the block of web in {root}/hosts changed"),
        (lambda root: (root / "made" / "inner").write_text("x"), "{root}/made changed"),
        (lambda root: (root / "old").touch(), "{root}/old is there again"),
    ],
)
def test_drift_is_said_in_words(converge: Converge, folder: Path, root: Path, damage: Callable[[Path], object], said: str) -> None:
    """Whatever is damaged is told, and the next converge repairs it."""
    (root / "made").mkdir()
    (root / "made" / "inner").touch()
    given = {
        "directories": [{"path": str(root / "data")}],
        "files": [{"path": str(root / "web.conf"), "content": "x"}],
        "blocks": [{"path": str(root / "hosts"), "content": "10.0.0.1 web"}],
        "links": [{"path": str(root / "link"), "target": "data"}],
        "absent": [str(root / "old")],
        "observed": [str(root / "made")],
    }
    converge(**given)
    damage(root)
    assert PROBE.manifests(str(folder))["web"]["drift"] == [said.format(root=root)]
    converge(**given)
    assert PROBE.manifests(str(folder))["web"]["drift"] == []


def test_what_is_no_longer_listed_goes(converge: Converge, root: Path) -> None:
    """A newer version of a role takes away what only the older one had."""
    old, new = root / "a" / "old.conf", root / "b" / "new.conf"
    converge(files=[{"path": str(old), "content": "x"}, {"path": str(new), "content": "x"}])
    run = converge(files=[{"path": str(new), "content": "x"}])
    assert not old.parent.exists() and new.exists(), run.changes
    assert converge(files=[{"path": str(new), "content": "x"}]).changes == []


def test_removal_leaves_the_machine_as_before(converge: Converge, folder: Path, root: Path) -> None:
    """A file that was there comes back with its mode, own things go, things of others stay."""
    theirs, hosts = root / "theirs.conf", root / "hosts"
    theirs.write_text("original")
    theirs.chmod(0o600)
    hosts.write_text("127.0.0.1 localhost\n")
    (root / "shared").mkdir()
    for content in ("ours", "ours, newer"):
        converge(
            files=[{"path": str(theirs), "content": content}, {"path": str(root / "own" / "f"), "content": content}],
            blocks=[{"path": str(hosts), "content": content}],
            directories=[{"path": str(root / "shared")}],
        )
    (root / "own" / "of-others").touch()
    converge(state="absent")
    assert theirs.read_text() == "original" and theirs.stat().st_mode & 0o777 == 0o600
    assert hosts.read_text() == "127.0.0.1 localhost\n"
    assert sorted(path.name for path in root.rglob("*")) == ["hosts", "of-others", "own", "shared", "theirs.conf"]
    assert not folder.exists(), "neither manifests nor originals are left"
    assert converge(state="absent").changes == []


def test_parts_keep_their_own_lists(converge: Converge, folder: Path, root: Path) -> None:
    """Between a role's first and last call the manifest is unfinished; each call looks after its own things alone."""
    first = {"files": [{"path": str(root / "one"), "content": "1"}], "final": False}
    second = {"files": [{"path": str(root / "two"), "content": "2"}], "part": "record"}
    for changed in (1, 0):
        assert len(converge(**first).changes) == changed
        assert PROBE.manifests(str(folder))["web"] == {"digest": "", "drift": ["the last converge of this role did not finish"]}
        assert len(converge(**second).changes) == changed
        assert PROBE.manifests(str(folder))["web"] == {"digest": "d", "drift": []}
    converge(files=first["files"])
    assert (root / "one").exists() and not (root / "two").exists(), "a part that no call names any more goes"


class Killed(BaseException):
    """The end of the module at any moment."""


@pytest.mark.parametrize("moment", range(1, 9))
def test_killed_at_any_moment(converge: Converge, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """A run that was killed is never taken for finished; the next one ends as if nothing had happened."""
    theirs = root / "theirs.conf"
    theirs.write_text("original")
    given = {
        "files": [{"path": str(theirs), "content": "a"}, {"path": str(root / "x" / "b"), "content": "b"}],
        "links": [{"path": str(root / "l"), "target": "x"}],
        "blocks": [{"path": str(root / "hosts"), "content": "h"}],
    }
    left = [moment]
    real = RUN.os.replace

    def replace(source: str, target: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed
        real(source, target)

    monkeypatch.setattr(RUN.os, "replace", replace)
    try:
        converge(**given)
    except Killed:
        assert PROBE.manifests(str(folder)).get("web", {"digest": ""})["digest"] == ""
    monkeypatch.setattr(RUN.os, "replace", real)
    converge(**given)
    assert PROBE.manifests(str(folder))["web"] == {"digest": "d", "drift": []}
    converge(state="absent")
    assert [path.name for path in root.iterdir()] == ["theirs.conf"] and theirs.read_text() == "original"


def test_refused_file_leaves_the_old_one(converge: Converge, root: Path) -> None:
    """A file that its own program refuses does not take the old one's place, and nothing is left beside it."""
    path = root / "rules"
    path.write_text("old")
    with pytest.raises(RUN.Refusal, match=r"(?s)would not be valid.*remedy"):
        converge(files=[{"path": str(path), "content": "new", "validate": "false %s"}])
    assert path.read_text() == "old" and [entry.name for entry in root.iterdir()] == ["rules"]


def test_secrets_are_not_shown(converge: Converge, folder: Path, root: Path) -> None:
    """A secret stands in its file and nowhere else."""
    path = root / "token"
    for secret in ("hunter-1", "hunter-2"):
        run = converge(files=[{"path": str(path), "content": secret, "secret": True}])
        assert path.read_text() == secret
        assert "hunter" not in json.dumps([run.changes, run.diffs]) + (folder / "web.json").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"absent": ["/etc"]}, "too high"),
        ({"files": [{"path": "/etc", "content": ""}]}, "is a directory"),
        ({"files": [{"path": "/etc/x", "content": "", "mode": "rw"}]}, "not octal"),
        ({"packages": ["no-such-package"]}, "not installed"),
        ({"observed": ["/nowhere/at/all"]}, "not there"),
    ],
)
def test_refusals_have_a_remedy(converge: Converge, given: dict[str, Any], said: str) -> None:
    """What cannot be done is said with what to do about it."""
    with pytest.raises(RUN.Refusal, match=f"(?s){said}.*remedy: "):
        converge(**given)


def test_answer_to_ansible_shows_no_content(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Neither the answer, nor the invocation in it, nor the machine's journal holds a file's content."""
    journal: list[object] = []
    monkeypatch.setattr(basic.syslog, "syslog", lambda *said: journal.append(said))
    if basic.has_journal:
        monkeypatch.setattr(basic.journal, "send", lambda *said, **more: journal.append((said, more)))
    secret = {"path": str(root / "token"), "content": "hunter-3", "secret": True}
    arguments = {"role": "never-converged", "files": [secret], "_ansible_check_mode": True, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        MODULE.main()
    printed = capsys.readouterr().out
    answer = json.loads(printed)
    assert answer["changes"] == [f"file {root}/token made"] and answer["invocation"]["module_args"]["role"] == "never-converged"
    assert "hunter" not in printed and journal == []
