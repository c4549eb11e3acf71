"""Prometheus exporter of an HTCondor pool: every scrape asks the collector for slots and each schedd for its jobs."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import htcondor2
import slots
from prometheus_client import start_http_server
from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PORT = 9118
SLOT_LABELS = ["machine", "slot", "address"]
JOB_STATES = {
    "idle": "AllusersIdle",
    "running": "AllusersRunning",
    "removed": "AllusersRemoved",
    "completed": "AllusersCompleted",
    "held": "AllusersHeld",
    "suspended": "AllusersSuspended",
}


def slot_metrics(ads: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Metrics of slots.

    Parameters
    ----------
    ads:
        ClassAds with the attributes :data:`slots.ATTRIBUTES`.
    """
    busy = GaugeMetricFamily("condor_slot_activity_busy", "Whether a job is on the slot.", labels=SLOT_LABELS)
    cpus = GaugeMetricFamily("condor_slot_cpus", "Cores of the slot.", labels=SLOT_LABELS)
    states = GaugeMetricFamily("condor_slots", "Slots by state, activity and type.", labels=["state", "activity", "type"])
    counts: Counter[tuple[str, str, str]] = Counter()
    for slot in ads:
        busy.add_metric(slots.labels(slot), float(slots.busy(slot)))
        cpus.add_metric(slots.labels(slot), float(slot.get("Cpus", 0)))
        counts[str(slot["State"]), str(slot["Activity"]), slots.kind(slot)] += 1
    for key, count in sorted(counts.items()):
        states.add_metric(list(key), float(count))
    yield from (busy, cpus, states)


class Pool(Collector):
    """What Prometheus collects; nothing is kept between two scrapes."""

    def collect(self) -> Iterator[Metric]:
        """Metrics of the pool as it is now; a daemon that does not answer is reported as down."""
        up = GaugeMetricFamily("condor_collector_up", "Whether the collector answers.")
        schedd_up = GaugeMetricFamily("condor_schedd_up", "Whether the schedd answers.", labels=["schedd"])
        jobs = GaugeMetricFamily("condor_jobs", "Jobs in the queue by state.", labels=["schedd", "state"])
        try:
            collector = htcondor2.Collector()
            ads = collector.query(htcondor2.AdType.Slot, projection=slots.ATTRIBUTES)
            schedds = collector.locateAll(htcondor2.DaemonType.Schedd)
        except (htcondor2.HTCondorException, RuntimeError, OSError) as error:
            print(f"collector: {error}", file=sys.stderr, flush=True)
            up.add_metric([], 0.0)
            yield up
            return
        up.add_metric([], 1.0)
        for location in schedds:
            name = str(location["Name"])
            try:
                (summary,) = htcondor2.Schedd(location).query(opts=htcondor2.QueryOpts.SummaryOnly)
            except (htcondor2.HTCondorException, RuntimeError, OSError, ValueError) as error:
                print(f"schedd {name}: {error}", file=sys.stderr, flush=True)
                schedd_up.add_metric([name], 0.0)
                continue
            schedd_up.add_metric([name], 1.0)
            for state, attribute in JOB_STATES.items():
                jobs.add_metric([name, state], float(summary.get(attribute, 0)))
        yield from (up, schedd_up, jobs, *slot_metrics(ads))


def main() -> None:
    """Serve the metrics until told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    REGISTRY.register(Pool())
    start_http_server(PORT)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
