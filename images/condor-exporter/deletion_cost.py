"""Keeps the cost of deleting execute pods: idle ones 0, those with jobs more, so that a Deployment that shrinks takes idle ones first.

Environment: ``NAMESPACE``, ``SELECTOR`` (labels of the execute pods), ``INTERVAL`` (seconds), ``ACCOUNT`` (folder with the token and the
certificate of the API server), and Kubernetes' own ``KUBERNETES_SERVICE_HOST`` and ``_PORT``.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import slots

COST = "controller.kubernetes.io/pod-deletion-cost"
BUSY = 10
TIMEOUT = 10.0


def wanted(pods: Iterable[Mapping[str, Any]], jobs: Mapping[str, int]) -> dict[str, str]:
    """Pod to its new cost, of the pods where that differs from what they say; those that end already are left alone.

    Parameters
    ----------
    pods:
        Execute pods, as the API gives them.
    jobs:
        Machine to the number of its jobs; a machine's name begins with its pod's.
    """
    running = {machine.split(".")[0]: number for machine, number in jobs.items()}
    costs = {}
    for pod in pods:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            continue
        number = running.get(metadata["name"], 0)
        cost = str(BUSY + number if number else 0)
        if metadata.get("annotations", {}).get(COST) != cost:
            costs[metadata["name"]] = cost
    return costs


class Api:
    """The pods of one namespace.

    Parameters
    ----------
    environment:
        See the module.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        shown = f"[{host}]" if ":" in host else host
        self.pods = f"https://{shown}:{port}/api/v1/namespaces/{environment['NAMESPACE']}/pods"
        self.selector = quote(environment["SELECTOR"])
        self.account = Path(environment["ACCOUNT"])
        self.context = ssl.create_default_context(cafile=self.account / "ca.crt")

    def ask(self, url: str, method: str = "GET", body: Any = None) -> Any:
        """Send one request; the token is read each time, for it is renewed."""
        headers = {
            "Authorization": f"Bearer {(self.account / 'token').read_text().strip()}",
            "Content-Type": "application/merge-patch+json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=self.context) as answer:
            return json.load(answer)

    def execute_pods(self) -> list[dict[str, Any]]:
        """The execute pods."""
        found: list[dict[str, Any]] = self.ask(f"{self.pods}?labelSelector={self.selector}")["items"]
        return found

    def annotate(self, pod: str, cost: str) -> None:
        """Set a pod's cost."""
        self.ask(f"{self.pods}/{pod}", "PATCH", {"metadata": {"annotations": {COST: cost}}})


def main() -> None:
    """Look again and again until told to end."""
    import htcondor2

    api, interval = Api(os.environ), float(os.environ.get("INTERVAL", "5"))
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    while True:
        try:
            ads = htcondor2.Collector().query(htcondor2.AdType.Slot, projection=slots.ATTRIBUTES)
            for pod, cost in wanted(api.execute_pods(), slots.jobs_by_machine(ads)).items():
                api.annotate(pod, cost)
                print(f"{pod}: cost {cost}", flush=True)
        except (htcondor2.HTCondorException, RuntimeError, OSError, ValueError) as error:
            print(f"costs are as they were: {error}", file=sys.stderr, flush=True)
        if signal.sigtimedwait(signals, interval):
            return


if __name__ == "__main__":
    main()
