"""Prometheus exporter of an HTCondor pool: every scrape asks the collector for slots and each schedd for its jobs."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import htcondor2
import idle_jobs
import slots
from prometheus_client import start_http_server
from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PORT = 9118
CLASSES = Path("/etc/condor/worker-classes.json")
SLOT_LABELS = ["machine", "slot", "address", "class"]
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
    busy = GaugeMetricFamily("condor_slot_activity_busy", "Whether a job is on the slot, or on a core without one.", labels=SLOT_LABELS)
    cpus = GaugeMetricFamily("condor_slot_cpus", "Cores of the slot.", labels=SLOT_LABELS)
    states = GaugeMetricFamily("condor_slots", "Slots by state, activity and type.", labels=["state", "activity", "type"])
    counts: Counter[tuple[str, str, str]] = Counter()
    for slot in ads:
        for labels, occupied in slots.occupation(slot):
            busy.add_metric(labels, float(occupied))
        cpus.add_metric(slots.labels(slot), float(slot.get("Cpus", 0)))
        counts[str(slot["State"]), str(slot["Activity"]), slots.kind(slot)] += 1
    for key, count in sorted(counts.items()):
        states.add_metric(list(key), float(count))
    yield from (busy, cpus, states)


def idle_metrics(waiting: Mapping[tuple[str, str], idle_jobs.Request]) -> Iterator[Metric]:
    """Metrics of what idle jobs ask for.

    Parameters
    ----------
    waiting:
        Schedd and class to the sum of its idle jobs; class ``""`` is of jobs that fit nowhere.
    """
    labels = ["schedd", "class"]
    families = (
        GaugeMetricFamily("condor_idle_jobs", "Idle jobs by the class of workers that they fit.", labels=labels),
        GaugeMetricFamily("condor_idle_requested_cpus", "Cores that idle jobs ask for.", labels=labels),
        GaugeMetricFamily("condor_idle_requested_memory_bytes", "Memory that idle jobs ask for.", labels=labels),
        GaugeMetricFamily("condor_idle_requested_gpus", "GPUs that idle jobs ask for.", labels=labels),
    )
    for key, asked in sorted(waiting.items()):
        for family, value in zip(families, (asked.jobs, asked.cpus, asked.memory << 20, asked.gpus), strict=True):
            family.add_metric(list(key), float(value))
    yield from families


class Pool(Collector):
    """What Prometheus collects; nothing is kept between two scrapes.

    Parameters
    ----------
    classes:
        Kinds of execute points that the pool may have, also those of which none runs now.
    """

    def __init__(self, classes: tuple[idle_jobs.WorkerClass, ...]) -> None:
        self.classes = classes

    def collect(self) -> Iterator[Metric]:
        """Metrics of the pool as it is now; a daemon that does not answer is reported as down."""
        up = GaugeMetricFamily("condor_collector_up", "Whether the collector answers.")
        schedd_up = GaugeMetricFamily("condor_schedd_up", "Whether the schedd answers.", labels=["schedd"])
        jobs = GaugeMetricFamily("condor_jobs", "Jobs in the queue by state.", labels=["schedd", "state"])
        waiting: dict[tuple[str, str], idle_jobs.Request] = {}
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
                schedd = htcondor2.Schedd(location)
                (summary,) = schedd.query(opts=htcondor2.QueryOpts.SummaryOnly)
                idle = schedd.query(constraint="JobStatus == 1", projection=idle_jobs.ATTRIBUTES) if self.classes else []
            except (htcondor2.HTCondorException, RuntimeError, OSError, ValueError) as error:
                print(f"schedd {name}: {error}", file=sys.stderr, flush=True)
                schedd_up.add_metric([name], 0.0)
                continue
            schedd_up.add_metric([name], 1.0)
            for state, attribute in JOB_STATES.items():
                jobs.add_metric([name, state], float(summary.get(attribute, 0)))
            if self.classes:
                waiting |= {(name, kind): asked for kind, asked in idle_jobs.requested(idle, self.classes, idle_jobs.may_run).items()}
        yield from (up, schedd_up, jobs, *slot_metrics(ads), *idle_metrics(waiting))


def main() -> None:
    """Serve the metrics until told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    REGISTRY.register(Pool(idle_jobs.classes(json.loads(CLASSES.read_text()))))
    start_http_server(PORT)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
