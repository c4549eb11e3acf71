"""Make the facility's sample data: real CMS NanoAOD files, and large files grown from them.

The two real files (simulated top quark pairs and Drell-Yan) come from coffea's source distribution and hold a few hundred
events. The large files hold their events again and again, each copy with its kinematics smeared, so that they have the size,
the layout and the compressibility of data. ``event`` keeps the number of the event a copy was made from and
``luminosityBlock`` counts the copies, so that an analysis can keep copies of one event together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

SMEARING = 0.02
"""Relative standard deviation of a smeared number; absolute, in radians or units of pseudorapidity, for angles."""

MANTISSA_BITS = 14
"""Significant bits that a smeared number keeps: NanoAOD stores reduced precision too."""

COLLECTIONS = ("Electron", "FatJet", "GenJet", "GenPart", "Jet", "LHEPart", "Muon", "Photon", "SV", "Tau", "TrigObj")
SINGLES = ("run", "event", "luminosityBlock", "genWeight", "bunchCrossing")
PREFIXES = ("CaloMET_", "GenMET_", "Generator_", "MET_", "PV_", "PuppiMET_", "Pileup_")

GROWN = {"ttbar.root": ("nano_tt_v15.root", 205, 1), "drell_yan.root": ("nano_dy.root", 60, 2)}
"""Large file to the real file it grows from, its least size in units of 1e6 bytes, and the seed of its smearing."""


def extract(archive: Path, folder: Path) -> None:
    """Take the real files out of coffea's source distribution."""
    wanted = {source for source, _, _ in GROWN.values()}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member) if name in wanted and "/tests/samples/" in member.name else None
            if content is not None:
                (folder / name).write_bytes(content.read())
                wanted.discard(name)
    if wanted:
        raise SystemExit(f"{archive}: no {', '.join(sorted(wanted))} in it; remedy: pin a version of coffea that ships them")


def grouped(tree: Any) -> dict[str, list[str]]:
    """Collections of the tree with the names of their per-object quantities."""
    names = set(tree.keys())
    found = {
        collection: sorted(name.removeprefix(f"{collection}_") for name in names if name.startswith(f"{collection}_"))
        for collection in COLLECTIONS
    }
    return {collection: quantities for collection, quantities in found.items() if quantities}


def smear(name: str, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Smear a flat array of floating point numbers, and cut its precision.

    Parameters
    ----------
    name:
        The quantity: ``eta`` and ``phi`` are shifted, the rest is scaled.
    values:
        Single precision numbers.
    random:
        Source of the smearing.

    Returns
    -------
    numpy.ndarray
        As many numbers of the same type.
    """
    noise = random.standard_normal(len(values), dtype=np.float32) * np.float32(SMEARING)
    if name.endswith("phi"):
        result = (values + noise + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
    elif name.endswith("eta"):
        result = values + noise
    else:
        result = values * (1 + noise)
    cut = np.uint32(0xFFFFFFFF << (23 - MANTISSA_BITS) & 0xFFFFFFFF)
    return (np.ascontiguousarray(result, dtype=np.float32).view(np.uint32) & cut).view(np.float32)


def copies(tree: Any, count: int, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Chunks of ``count`` smeared copies of all events, without end."""
    jagged = {c: tree.arrays([f"{c}_{q}" for q in quantities]) for c, quantities in grouped(tree).items()}
    names = [
        n
        for n in sorted(tree.keys())
        if n in SINGLES or (n.startswith(PREFIXES) and tree[n].interpretation.__class__.__name__ == "AsDtype")
    ]
    flat = tree.arrays(names, library="np")
    done = 0
    while True:
        chunk: dict[str, Any] = {}
        for name, values in flat.items():
            tiled = np.tile(values, count)
            chunk[name] = smear(name, tiled, random) if tiled.dtype == np.float32 else tiled
        chunk["luminosityBlock"] = np.repeat(np.arange(done, done + count, dtype=np.uint32) + 1, tree.num_entries)
        for collection, arrays in jagged.items():
            fields = {}
            for full in arrays.fields:
                content = np.tile(ak.to_numpy(ak.flatten(arrays[full])), count)
                counts = np.tile(ak.to_numpy(ak.num(arrays[full])), count)
                quantity = full.removeprefix(f"{collection}_")
                fields[quantity] = ak.unflatten(smear(quantity, content, random) if content.dtype == np.float32 else content, counts)
            chunk[collection] = ak.zip(fields, depth_limit=2)
        done += count
        yield chunk


def grow(source: Path, target: Path, megabytes: int, seed: int) -> None:
    """Write ``target`` with copies of the events of ``source`` until it has at least the given size (in units of 1e6 bytes)."""
    tree = uproot.open(source)["Events"]
    chunks = copies(tree, max(1, 4000 // tree.num_entries), np.random.default_rng(seed))
    with uproot.recreate(target, compression=uproot.ZLIB(1)) as file:
        chunk = next(chunks)
        events = file.mktree("Events", {name: ak.type(ak.Array(values)).content for name, values in chunk.items()})
        while True:
            events.extend(chunk)
            if target.stat().st_size >= megabytes * 1_000_000:
                return
            chunk = next(chunks)


def describe(path: Path) -> dict[str, Any]:
    """What the manifest says about one file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with uproot.open(path) as file:
        return {"name": path.name, "size": path.stat().st_size, "sha256": digest, "events": int(file["Events"].num_entries)}


def main() -> None:
    """Write the sample files and ``manifest.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="coffea's source distribution")
    parser.add_argument("folder", type=Path, help="where the files go")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    extract(arguments.archive, arguments.folder)
    for name, (source, megabytes, seed) in GROWN.items():
        grow(arguments.folder / source, arguments.folder / name, megabytes, seed)
    files = [describe(path) for path in sorted(arguments.folder.glob("*.root"))]
    (arguments.folder / "manifest.json").write_text(json.dumps({"files": files}, indent=2) + "\n")


if __name__ == "__main__":
    main()
