"""What artifacts.yaml pins, and what a site's own pins change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cantiere import supply
from cantiere.errors import CantiereError, TemplateError
from cantiere.supply import gobuild, pins
from cantiere.supply.pins import Anywhere

DATA = pins.catalogue(Anywhere())
HASHES = [
    (name, file, version, arch, digest)
    for name, entry in DATA["binaries"].items()
    for file, spec in entry.get("upstream", {}).get("files", {}).items()
    for version, by_arch in spec["sha256"].items()
    for arch, digest in by_arch.items()
]


def over(tmp_path: Path, text: str) -> Anywhere:
    file = tmp_path / "pins.yml"
    file.write_text(text, encoding="utf-8")
    return Anywhere(artifacts_file=file)


def test_hashes_are_hashes() -> None:
    assert HASHES
    for name, file, version, arch, digest in HASHES:
        assert re.fullmatch("[0-9a-f]{64}", digest), (name, file, version, arch)
        assert arch in pins.ARCHITECTURES
    digests = [digest for *_, digest in HASHES]
    assert len(digests) == len(set(digests)), "two files cannot have one hash"


def test_published_binaries_have_both_architectures() -> None:
    for name, entry in DATA["binaries"].items():
        for file, spec in entry.get("upstream", {}).get("files", {}).items():
            assert set(spec["sha256"][entry["version"]]) == set(pins.ARCHITECTURES), (name, file)


@pytest.mark.parametrize("name", [name for name, entry in DATA["binaries"].items() if "go" in entry["build"]])
def test_sources_are_of_the_pinned_version(name: str) -> None:
    wanted = pins.item(name, Anywhere(), "amd64")
    folder = pins.BUILDS / wanted.entry["build"]["go"]
    gobuild.same_version(wanted, folder)
    ours_alone = "module" not in wanted.entry["build"]
    assert ours_alone or (folder / "go.sum").is_file(), "go.sum pins what is compiled"


def test_every_build_folder_is_used() -> None:
    used = {entry["build"]["go"] for entry in DATA["binaries"].values()}
    assert used == {path.name for path in pins.BUILDS.iterdir() if path.is_dir()}


def test_images_are_what_kubeadm_asks_for() -> None:
    version = supply.version("kubernetes", Anywhere())
    references = pins.item("kubernetes-images", Anywhere(), "amd64").references
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    assert [reference.rpartition("/")[2] for reference in references] == [f"{name}:v{version}" for name in names]


def test_own_version_from_our_sources(tmp_path: Path) -> None:
    ours = pins.item("kubernetes", Anywhere(), "amd64")
    patch = f"{ours.version}1"
    site = over(tmp_path, f"binaries: {{kubernetes: {{version: {patch}, source: {ours.version}}}}}\n")
    theirs = pins.item("kubernetes", site, "amd64")
    assert (theirs.version, theirs.source) == (patch, ours.version)
    assert theirs.pin != ours.pin
    assert theirs.fill(theirs.entry["build"]["stamp"]["k8s.io/component-base/version.gitVersion"]) == f"v{patch}"
    images = pins.item("kubernetes-images", site, "amd64")
    assert all(reference.endswith(f":v{patch}") for reference in images.references)
    assert images.after[1].pin == theirs.pin
    gobuild.same_version(theirs, pins.BUILDS / "kubernetes")
    assert supply.ways(ours, Anywhere()) == ("upstream", "build")
    assert supply.ways(theirs, site) == ("build",), "no hash of the publisher is pinned for that version"


def test_sources_of_another_version_are_refused(tmp_path: Path) -> None:
    site = over(tmp_path, "binaries: {kubernetes: {version: 1.99.0}}\n")
    with pytest.raises(CantiereError, match=r"holds the sources of 1\.\d+\.\d+, not of 1\.99\.0"):
        gobuild.same_version(pins.item("kubernetes", site, "amd64"), pins.BUILDS / "kubernetes")


@pytest.mark.parametrize("text", ["binaries: {kubernets: {version: 1.0.0}}\n", "releases: {}\n", "[]\n"])
def test_own_pins_name_what_there_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError):
        pins.catalogue(over(tmp_path, text))


def test_own_pins_have_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="there is no"):
        pins.catalogue(Anywhere(artifacts_file=tmp_path / "none.yml"))


def test_pins_differ_by_architecture() -> None:
    assert pins.item("etcd", Anywhere(), "amd64").pin != pins.item("etcd", Anywhere(), "arm64").pin


@pytest.mark.parametrize(("name", "arch"), [("etcd", "riscv64"), ("nothing", "amd64")])
def test_what_is_not_there_is_refused(name: str, arch: str) -> None:
    with pytest.raises(CantiereError):
        pins.item(name, Anywhere(), arch)


@pytest.mark.parametrize(
    ("site", "name", "ways"),
    [
        (Anywhere("build"), "etcd", ("build",)),
        (Anywhere("upstream"), "etcd", ("upstream",)),
        (Anywhere("upstream"), "tools-image", ("build",)),
        (Anywhere("mirror", "/srv/mirror"), "tools-image", ("mirror",)),
        (Anywhere("auto", "/srv/mirror"), "etcd", ("mirror",)),
        (Anywhere("auto"), "etcd", ("upstream", "build")),
        (Anywhere("auto"), "pause-image", ("upstream", "build")),
        (Anywhere("auto"), "kube-router-image", ("build",)),
        (Anywhere("upstream"), "kube-router-image", ("upstream",)),
    ],
)
def test_ways(site: Anywhere, name: str, ways: tuple[str, ...]) -> None:
    assert supply.ways(pins.item(name, site, "amd64"), site) == ways
    assert supply.origin(site)
