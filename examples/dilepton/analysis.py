"""Dilepton events: top quark pairs (signal) against Drell-Yan (background).

Reads NanoAOD through the facility's site cache with the bearer token, selects events with two leptons, and writes a flat ntuple
(Parquet) and a histogram of the dilepton mass (ROOT) to the object store.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path
from typing import Any

import awkward as ak
import facility
import hist
import numpy as np
import pandas as pd
import uproot
from coffea import processor
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from coffea.nanoevents.methods import vector

FEATURES = ("mass", "leading_pt", "delta_phi", "met")
"""Columns of the ntuple to train with: leptons and missing momentum. With so few independent events the rest would tell all at once."""

CHUNK = 25_000
"""Events held in memory at a time."""

MINIMUM_MASS = 12.0
"""Least dilepton mass in GeV: below it are resonances of light hadrons, and single leptons that were found twice."""

NanoAODSchema.warn_missing_crossrefs = False


class Dilepton(processor.ProcessorABC):  # type: ignore[misc]
    """Select events with two leptons, and describe each by a few numbers."""

    def process(self, events: Any) -> dict[str, Any]:
        """Ntuple columns and the dilepton mass of one chunk of events."""
        leptons = ak.concatenate([self.leptons(events.Muon), self.leptons(events.Electron)], axis=1)
        leptons = leptons[ak.argsort(leptons.pt, axis=1, ascending=False)]
        pairs = ak.mask(leptons, ak.num(leptons) >= 2)
        selected = ak.fill_none((pairs[:, 0] + pairs[:, 1]).mass > MINIMUM_MASS, False)
        leptons, events = leptons[selected], events[selected]
        first, second = leptons[:, 0], leptons[:, 1]
        jets = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
        jets = jets[ak.all(jets.metric_table(leptons) > 0.4, axis=2)]
        columns = {
            "mass": (first + second).mass,
            "leading_pt": first.pt,
            "subleading_pt": second.pt,
            "delta_phi": abs(first.delta_phi(second)),
            "jets": ak.num(jets),
            "ht": ak.sum(jets.pt, axis=1),
            "b_tag": ak.fill_none(ak.max(jets.btagDeepFlavB, axis=1), 0.0),
            "met": events.PuppiMET.pt,
            "event": events.event,
        }
        mass = hist.Hist.new.Reg(60, 0, 180, name="mass", label="dilepton mass / GeV").Double()
        mass.fill(ak.to_numpy(columns["mass"]))
        return {
            "ntuple": {name: processor.column_accumulator(np.asarray(values, dtype=np.float64)) for name, values in columns.items()},
            "mass": mass,
        }

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Nothing is left to be done when all chunks are added up."""
        return accumulator

    @staticmethod
    def leptons(candidates: Any) -> Any:
        """Four-momenta of muons or electrons above 10 GeV."""
        good = candidates[(candidates.pt > 10) & (abs(candidates.eta) < 2.5)]
        return ak.zip(
            {"pt": good.pt, "eta": good.eta, "phi": good.phi, "mass": good.mass},
            with_name="PtEtaPhiMLorentzVector",
            behavior=vector.behavior,
        )


def analyse(url: str) -> dict[str, Any]:
    """Run the selection over all events of one file."""
    options = facility.source_options() if "://" in url else {}
    with uproot.open({url: "Events"}, **options) as tree:
        total = tree.num_entries
    results = []
    for start in range(0, total, CHUNK):
        factory = NanoEventsFactory.from_root(
            {url: "Events"},
            schemaclass=NanoAODSchema,
            entry_start=start,
            entry_stop=min(start + CHUNK, total),
            mode="virtual",
            uproot_options=options,
        )
        results.append(Dilepton().process(factory.events()))
    return {"events": total, **processor.accumulate(results)}


def write(name: str, result: dict[str, Any], signal: bool) -> list[str]:
    """Write ntuple and histogram to the object store.

    Returns
    -------
    list of str
        Keys of the two objects.
    """
    store = facility.object_store()
    frame = pd.DataFrame({column: values.value for column, values in result["ntuple"].items()})
    frame["signal"] = signal
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "mass.root"
        with uproot.recreate(root) as file:
            file["mass"] = result["mass"]
        contents = {facility.key(f"{name}.parquet"): parquet.getvalue(), facility.key(f"{name}.root"): root.read_bytes()}
    for key, content in contents.items():
        store.put_object(Bucket=facility.bucket(), Key=key, Body=content)
    return list(contents)


def main() -> None:
    """Analyse one dataset of the facility's storage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="name of the results, and of the file: samples/<dataset>.root")
    parser.add_argument("--signal", action="store_true", help="mark the events as signal")
    arguments = parser.parse_args()
    result = analyse(facility.data_url(f"samples/{arguments.dataset}.root"))
    keys = write(arguments.dataset, result, arguments.signal)
    selected = len(result["ntuple"]["mass"].value)
    print(f"{arguments.dataset}: {selected} of {result['events']} events have two leptons; wrote {', '.join(keys)}")


if __name__ == "__main__":
    main()
