"""Images are the same bytes for the same content, and what containerd expects."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from cantiere.supply import ociimage, unpacked

NAMES = ("registry.example/one:v1", "registry.example/two:v1")


def written(folder: Path, mtime: int) -> Path:
    folder.mkdir()
    program = folder / "program"
    program.write_bytes(b"\x7fELF and so on\n" * 5000)
    os.utime(program, (mtime, mtime))
    base = folder / "base.tar"
    with tarfile.open(base, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("etc"))
    layers = [ociimage.layer_of_archive(base), ociimage.layer_of_programs([(program, "usr/local/bin/program", ("other",))], ("tmp",))]
    target = folder / "image.tar"
    ociimage.write_image(target, NAMES, "arm64", layers, {"entrypoint": ["/usr/local/bin/program"], "user": "65532:65532"})
    return target


def contents(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as content:
        return {member.name: read.read() for member in content if (read := content.extractfile(member))}


def test_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "one", 1).read_bytes() == written(tmp_path / "two", 1_000_000_000).read_bytes()


def test_layout(tmp_path: Path) -> None:
    found = contents(written(tmp_path / "one", 1))
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def named(descriptor: dict[str, Any]) -> bytes:
        content = found[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert len(content) == descriptor["size"]
        return content

    index = json.loads(found["index.json"])
    assert tuple(entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]) == NAMES
    manifest = json.loads(named(index["manifests"][0]))
    config = json.loads(named(manifest["config"]))
    assert (config["architecture"], config["config"]["Entrypoint"], config["config"]["User"]) == (
        "arm64",
        ["/usr/local/bin/program"],
        "65532:65532",
    )
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    with tarfile.open(fileobj=io.BytesIO(named(manifest["layers"][1]))) as layer:
        members = {member.name: member for member in layer}
    assert list(members) == ["tmp", "usr", "usr/local", "usr/local/bin", "usr/local/bin/program", "usr/local/bin/other"]
    assert members["usr/local/bin/program"].mode == 0o755
    assert members["usr/local/bin/other"].linkname == "program"
    assert members["tmp"].mode == 0o1777
    assert {member.mtime for member in members.values()} == {0}


def test_packages_as_a_layer() -> None:
    packed, rewritten = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in (("./usr/sbin/tool", b"tool"), ("./usr/share/doc/tool/copyright", b"text"), ("./usr/bin/zz", b"zz")):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid, member.uname = len(content), 12345, 1000, "somebody"
            archive.addfile(member, io.BytesIO(content))
        hard = tarfile.TarInfo("./usr/bin/aa")
        hard.type, hard.linkname = tarfile.LNKTYPE, "./usr/bin/zz"
        archive.addfile(hard)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as source, tarfile.open(fileobj=rewritten, mode="w") as target:
        unpacked.rewrite(source, target, ["usr/share/doc"], {"usr/sbin/tool": ["alias"]})
    rewritten.seek(0)
    with tarfile.open(fileobj=rewritten) as layer:
        assert [member.name for member in layer] == ["usr/bin/aa", "usr/bin/zz", "usr/sbin/alias", "usr/sbin/tool"]
        assert {(member.mtime, member.uid, member.uname) for member in layer} == {(0, 0, "")}
        assert layer.getmember("usr/sbin/alias").linkname == "tool"
        copied = layer.extractfile("usr/bin/aa")
        assert copied and copied.read() == b"zz"
