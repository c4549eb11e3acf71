"""Files that the roles of services write: mounts of CernVM-FS, package sources, folders of exports."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from cantiere import cvmfs_client, package_sources
from support.tree import REPOSITORY

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"
SOURCE = {"name": "cernvm", "uri": "https://packages.example.org/apt", "suite": "trixie-prod", "components": ["main"], "key": KEY}


def plugin(name: str) -> ModuleType:
    """A filter plugin by its file."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "filter_plugins" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/cvmfs/atlas.cern.ch", "cvmfs-atlas.cern.ch"),
        ("/cvmfs/atlas-condb.cern.ch", "cvmfs-atlas\\x2dcondb.cern.ch"),
        ("/.hidden/a b", "\\x2ehidden-a\\x20b"),
    ],
)
def test_escaped(path: str, name: str) -> None:
    """Names of units are those that ``systemd-escape --path`` gives."""
    assert cvmfs_client.escaped(path) == name


def test_static_mounts() -> None:
    """Each repository has a mount unit under the name that systemd demands, and is probed by the client itself."""
    made = cvmfs_client.mounts(["atlas-condb.cern.ch"], "official", "static", "", {}, "/var/lib/cvmfs")
    (file,) = made["files"]
    assert isinstance(file, dict)
    assert file["path"] == "/etc/systemd/system/cvmfs-atlas\\x2dcondb.cern.ch.mount"
    assert "\nWhere=/cvmfs/atlas-condb.cern.ch\nType=cvmfs\n" in file["content"]
    assert made["units"] == [{"name": "cvmfs-atlas\\x2dcondb.cern.ch.mount", "restart_on": [file["path"]]}]
    assert made["probes"] == [["cvmfs_config", "probe", "atlas-condb.cern.ch"]]


def test_automatic_mounts() -> None:
    """With autofs there is one file and one unit, whatever the number of repositories."""
    made = cvmfs_client.mounts(["atlas.cern.ch", "cms.cern.ch"], "official", "autofs", "", {}, "/var/lib/cvmfs")
    assert [unit["name"] for unit in made["units"] if isinstance(unit, dict)] == ["autofs.service"]
    assert made["files"] == [{"path": cvmfs_client.AUTOFS, "content": "# Made by cantiere.\n/cvmfs /etc/auto.cvmfs\n"}]


def test_own_client() -> None:
    """The facility's client is a service that clears what a killed one left behind."""
    made = cvmfs_client.mounts(["software.here"], "facility", "autofs", "/opt/mount", {"software.here": "http://s/cvmfs/x"}, "/cache")
    (file,) = made["files"]
    assert isinstance(file, dict)
    lines = file["content"].splitlines()
    assert "ExecStart=/opt/mount http://s/cvmfs/x /cvmfs/software.here /cache/software.here" in lines
    assert lines.index("ExecStartPre=-/usr/bin/umount --lazy --quiet /cvmfs/software.here") < lines.index(
        "ExecStartPre=/usr/bin/mkdir --parents /cvmfs/software.here /cache/software.here"
    )


def test_domains() -> None:
    """A domain's keys have a folder of their own, which its settings name."""
    files = cvmfs_client.domain_files(
        [{"name": "example.org", "servers": ["http://a/@fqrn@", "http://b/@fqrn@"], "keys": ["one", "two\n"]}]
    )
    assert [file["path"] for file in files] == [
        "/etc/cvmfs/keys/example.org/1.pub",
        "/etc/cvmfs/keys/example.org/2.pub",
        "/etc/cvmfs/domain.d/example.org.local",
    ]
    assert 'CVMFS_SERVER_URL="http://a/@fqrn@;http://b/@fqrn@"\nCVMFS_KEYS_DIR=/etc/cvmfs/keys/example.org\n' in files[-1]["content"]


def test_package_sources() -> None:
    """The key comes first, and what names it says where it is; each family has its own form."""
    key, source = package_sources.files([SOURCE], "Debian")
    assert (key["path"], key["content"]) == ("/etc/apt/keyrings/cantiere-cernvm.asc", KEY + "\n")
    assert source["content"].splitlines()[1:] == [
        "Types: deb",
        "URIs: https://packages.example.org/apt",
        "Suites: trixie-prod",
        "Components: main",
        "Signed-By: /etc/apt/keyrings/cantiere-cernvm.asc",
    ]
    flat = package_sources.files([{**SOURCE, "suite": None, "components": None}], "Debian")[1]["content"]
    assert "Suites: /\n" in flat and "Components" not in flat
    repo = package_sources.files([SOURCE], "RedHat")[1]
    assert repo["path"] == "/etc/yum.repos.d/cantiere-cernvm.repo"
    assert "gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/cantiere-cernvm\n" in repo["content"]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"key": "trust me"}, "never taken unchecked"), ({"uri": "ftp://x"}, "begins with"), ({"name": "a/b"}, "letters, digits")],
)
def test_package_source_problems(change: dict[str, str], words: str) -> None:
    """A source without its key, or under a name that is no file's, is refused."""
    (problem,) = package_sources.problems([SOURCE | change])
    assert words in problem
    assert package_sources.problems([SOURCE]) == []


def test_export_folders() -> None:
    """An export's folder has the mode and the owner that it names, else root's."""
    folders = plugin("nfs_export_folders").export_folders([{"path": "/a", "clients": []}, {"path": "/b", "mode": "1777", "owner": "u"}])
    assert folders == [
        {"path": "/a", "mode": "0755", "owner": "root", "group": "root"},
        {"path": "/b", "mode": "1777", "owner": "u", "group": "root"},
    ]
