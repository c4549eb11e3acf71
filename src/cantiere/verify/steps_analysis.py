"""Steps with the example analysis: the very cells of its notebook, run as a physicist runs them; and what monitoring saw of it."""

from __future__ import annotations

import json
import time
from typing import Any

import requests

from cantiere.verify.kernel import last_line
from cantiere.verify.result import StepFailed, require
from cantiere.verify.session import Session

NOTEBOOK = "analysis.ipynb"
CELL_TIMEOUT = 240.0
LEAST_PICTURES = 2
SCRAPE_WAIT = 30.0
PNG = b"\x89PNG"


def notebook(session: Session) -> str:
    """The example notebook: jobs read through the cache with the token, write to S3; DataFrame, AdaBoost, plots."""
    kernel = session.kernel(session.member())
    session.kept["busy before"] = _busy(session)
    session.kept["jobs began"] = time.time()
    session.cleanup.callback(_remove_results, session)
    pictures: list[bytes] = []
    printed: list[str] = []
    cells = _code_cells(session)
    for number, source in enumerate(cells, start=1):
        reply = kernel.execute(source, CELL_TIMEOUT)
        if reply.error:
            raise StepFailed(
                f"cell {number} of {NOTEBOOK}: {last_line(reply.error)}", f"open examples/dilepton/{NOTEBOOK} in the hub and run it"
            )
        pictures += reply.pictures
        printed.append(reply.text)
    require(len(pictures) >= LEAST_PICTURES, f"{len(pictures)} plots were shown", "run the notebook in the hub")
    require(all(picture.startswith(PNG) for picture in pictures), "a plot is no PNG picture", "run the notebook in the hub")
    seen = kernel.call(
        "{'rows': len(frame), 'signal': int(frame.signal.sum()), 'area': float(area), 'kind': type(classifier).__name__,"
        " 'hosts': sorted({job['host'] for job in jobs}), 'keys': keys}"
    )
    require(seen["area"] > 0.8, f"the classifier's area under the ROC curve is {seen['area']:.2f}", "look at the ntuples in the store")
    hosts = ", ".join(host.partition("@")[2].partition(".")[0] for host in seen["hosts"])
    return (
        f"{len(cells)} cells; jobs on {hosts} wrote {len(seen['keys'])} objects; "
        f"DataFrame of {seen['rows']} rows ({seen['signal']} signal); {seen['kind']} with area under ROC {seen['area']:.3f}; "
        f"{len(pictures)} plots ({sum(map(len, pictures)) // 1024} KiB PNG)"
    )


def metric_rose(session: Session) -> str:
    """Prometheus saw the slots go busy while the jobs ran."""
    before, since = session.kept["busy before"], session.kept["jobs began"]
    deadline = time.time() + SCRAPE_WAIT
    while True:
        window = int(time.time() - since) + 1
        highest = _query(session, f"max_over_time(sum(condor_slot_activity_busy)[{window}s:1s])")
        if highest > before or time.time() > deadline:
            break
        time.sleep(1)
    require(
        highest > before,
        f"condor_slot_activity_busy was {before:g} before the jobs and at most {highest:g} since",
        "see `./cantiere logs monitoring`",
    )
    return f"sum(condor_slot_activity_busy) was {before:g} before the jobs and {highest:g} while they ran"


def _code_cells(session: Session) -> list[str]:
    text = (session.target.examples / NOTEBOOK).read_text(encoding="utf-8")
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


def _busy(session: Session) -> float:
    return _query(session, "sum(condor_slot_activity_busy)") if session.target.parts.monitoring else 0.0


def _query(session: Session, expression: str) -> float:
    """Value of a Prometheus expression now; 0 where there is no sample."""
    web = requests.Session()
    web.trust_env = False
    answer = web.get(f"{session.target.prometheus_url}/api/v1/query", params={"query": expression}, timeout=10)
    require(
        answer.status_code == 200, f"Prometheus answers HTTP {answer.status_code}: {answer.text[:200]}", "see `./cantiere logs monitoring`"
    )
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _remove_results(session: Session) -> None:
    """Delete what the analysis wrote to the object store."""
    session.kernel(session.member()).run(
        "if 'keys' in globals():\n    for key in keys:\n        facility.object_store().delete_object(Bucket=facility.bucket(), Key=key)"
    )
