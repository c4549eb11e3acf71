"""The selection of ``analysis.py`` on Dask workers, which are jobs of the pool: coffea cuts files into chunks and adds up the results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import facility
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from distributed import Client

MODULES = ("facility.py", "analysis.py")
"""What workers have to have beside the tools of their image."""


def select(client: Client, datasets: Iterable[str], chunk: int = 25_000) -> dict[str, Any]:
    """Run the selection over datasets of the facility's storage, read through the site cache with your token.

    Parameters
    ----------
    client:
        Of a Dask cluster.
    datasets:
        Names of files: ``samples/<dataset>.root``.
    chunk:
        Events held in memory at a time by a worker.

    Returns
    -------
    dict
        ``ntuple`` and ``mass`` as :class:`analysis.Dilepton` makes them, of all datasets together.
    """
    for name in MODULES:
        client.upload_file(str(Path(__file__).with_name(name)))
    from analysis import Dilepton

    runner = processor.Runner(
        executor=processor.DaskExecutor(client=client, status=False), schema=NanoAODSchema, chunksize=chunk, xrootdtimeout=facility.TIMEOUT
    )
    files = {dataset: {"files": {facility.data_url(f"samples/{dataset}.root"): "Events"}} for dataset in datasets}
    result: dict[str, Any] = runner(files, Dilepton(), uproot_options=facility.source_options())
    return result
