"""The SSH configuration of a site's machines, and the host keys that are pinned in it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cantiere.machines import ssh as room
from cantiere.machines.hostkey import changed, fingerprint
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh

KEYS = {
    "one": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaOe+llutrWmQV2GI+XxLtuMPOjIB9xQtVwboUhkgR/",
    "two": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINe8S/PRa0VhPXbB7gRgfjgLprMjp31kjhPtg6IJM6Sc",
}


def machine(name: str, host_key: str = "", key: str = "") -> Machine:
    return Machine(name, "pool", ("worker",), "192.0.2.7", user="admin", port=2222, key=key, host_key=host_key)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    """A site's SSH whose machines show the keys above."""
    monkeypatch.setattr(room, "scan", lambda asked: KEYS.get(asked.name, ""))
    made = Ssh(tmp_path / "ssh")
    made.sockets = tmp_path / "sockets"
    return made


def test_the_configuration_is_what_openssh_reads(ssh: Ssh) -> None:
    ssh.write([machine("one", key="~/keys/one"), machine("two")])
    shown = {name: settings(ssh, name) for name in ("one", "two")}
    assert shown["one"]["hostname"] == "192.0.2.7" and shown["one"]["port"] == "2222" and shown["one"]["user"] == "admin"
    assert shown["one"]["hostkeyalias"] == "one" and shown["one"]["userknownhostsfile"] == str(ssh.known_hosts)
    assert shown["one"]["stricthostkeychecking"] == "true" and shown["one"]["identitiesonly"] == "yes"
    assert shown["one"]["identityfile"] == str(Path("~/keys/one").expanduser()) and shown["two"]["identitiesonly"] == "no"
    assert ssh.config.stat().st_mode & 0o777 == 0o600


def test_machines_behind_another(ssh: Ssh) -> None:
    """One is reached by its address from outside, the other through it."""
    ssh.write([replace(machine("one"), door="198.51.100.7"), replace(machine("two"), jump="one")])
    shown = {name: settings(ssh, name) for name in ("one", "two")}
    assert shown["one"]["hostname"] == "198.51.100.7" and "proxyjump" not in shown["one"]
    assert shown["two"]["hostname"] == "192.0.2.7" and shown["two"]["proxyjump"] == "one"


def settings(ssh: Ssh, name: str) -> dict[str, str]:
    done = subprocess.run(["ssh", "-F", str(ssh.config), "-G", name], capture_output=True, text=True, check=True)
    return {key: value for key, _, value in (line.partition(" ") for line in done.stdout.splitlines())}


def test_an_unchanged_configuration_is_not_written_again(ssh: Ssh) -> None:
    ssh.write([machine("one")])
    before = ssh.config.stat().st_mtime_ns
    ssh.write([machine("one")])
    assert ssh.config.stat().st_mtime_ns == before


def test_keys_are_pinned_at_first_contact_and_stay(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = ssh.pin([machine("one"), machine("dead")])
    assert ssh.pinned() == {"one": KEYS["one"]}
    assert [(problem.code, problem.path) for problem in problems] == [("ssh.unreachable", "dead")]
    monkeypatch.setattr(room, "scan", lambda asked: KEYS["two"])
    assert ssh.pin([machine("one")]) == [] and ssh.pinned() == {"one": KEYS["one"]}


def test_a_key_that_the_provider_knows_replaces_the_pinned_one(ssh: Ssh) -> None:
    ssh.pin([machine("one")])
    assert ssh.pin([machine("one", host_key=KEYS["two"])]) == [] and ssh.pinned() == {"one": KEYS["two"]}


def test_a_machine_that_is_gone_is_forgotten(ssh: Ssh) -> None:
    ssh.pin([machine("one"), machine("two")])
    ssh.forget("one")
    assert ssh.pinned() == {"two": KEYS["two"]}


def test_what_is_pinned_is_what_openssh_finds(ssh: Ssh) -> None:
    ssh.pin([machine("one"), machine("two")])
    done = subprocess.run(["ssh-keygen", "-F", "two", "-f", str(ssh.known_hosts)], capture_output=True, text=True, check=True)
    assert KEYS["two"].split()[1] in done.stdout


def test_the_fingerprint_is_that_of_openssh(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    path.write_text(KEYS["one"] + "\n")
    done = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], capture_output=True, text=True, check=True)
    assert fingerprint(KEYS["one"]) == f"ssh-ed25519 {done.stdout.split()[1]}"
    assert fingerprint("") == fingerprint("ssh-ed25519 nonsense!") == ""


def test_a_changed_key_is_told_with_both_fingerprints_and_the_remedy(tmp_path: Path) -> None:
    problem = changed(machine("one"), KEYS["one"], KEYS["two"], f"{tmp_path}/known_hosts")
    assert fingerprint(KEYS["one"]) in problem.message and fingerprint(KEYS["two"]) in problem.message
    assert f"ssh-keygen -R one -f {tmp_path}/known_hosts" in problem.remedy
    listed = changed(machine("one", host_key=KEYS["one"]), KEYS["one"], "", f"{tmp_path}/known_hosts")
    assert "host_key" in listed.remedy and "did not tell" in listed.message


@pytest.mark.parametrize(
    ("command", "sent"), [("ls /a b", "ls /a b"), (["ls", "a b", "c;d"], "ls 'a b' 'c;d'")], ids=["a shell command", "words"]
)
def test_words_are_quoted_for_the_shell_of_the_machine(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch, command: str | list[str], sent: str
) -> None:
    seen: list[list[str]] = []

    def run(argv: list[str], **given: object) -> subprocess.CompletedProcess[str]:
        seen.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    ssh.run("one", command, stdin="secret")
    assert seen[0][-2:] == ["one", sent] and "secret" not in " ".join(seen[0])


def test_all_machines_are_asked_at_once(ssh: Ssh) -> None:
    assert Ssh.each([machine("one"), machine("two")], lambda asked: asked.name.upper()) == {"one": "ONE", "two": "TWO"}
    assert Ssh.each([], lambda asked: asked.name) == {}
