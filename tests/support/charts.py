"""Charts as the tests see them: schemas and default values of upstream charts that lie beside the checkout, and our own."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.errors import CantiereError
from cantiere.supply import placed
from cantiere.supply.charts import Loader
from cantiere.supply.pins import Anywhere
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.model import Context, Release
from cantiere.values_verbs import text
from support.tree import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "data" / "charts"
"""Files of upstream charts; they are no part of the checkout."""

SUBCHARTS: dict[str, dict[str, str | None]] = {
    "gpu-operator": {"node-feature-discovery": "node-feature-discovery"},
    "kube-prometheus-stack": {
        "crds": None,
        "grafana": None,
        "kube-state-metrics": "kube-state-metrics",
        "prometheus-node-exporter": "prometheus-node-exporter",
        "prometheus-windows-exporter": None,
    },
    "nvidia-device-plugin": {"nfd": None, "gfd": None},
    "prometheus": {"alertmanager": "alertmanager", "kube-state-metrics": "kube-state-metrics"},
    "reana": {"traefik": None},
}
"""Chart to the keys under which its dependencies take their values, and their files where they lie there too."""


def load(path: Path) -> Any:
    """The content of a YAML or JSON file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def documents(text: str) -> Iterator[Any]:
    """All documents of a YAML text."""
    return (document for document in yaml.load_all(text, Loader) if document)


@cache
def versions() -> dict[str, str]:
    """Chart to the version whose files lie there."""
    rows = [line.split("\t") for line in (SHARED / "SOURCES.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[6] for row in rows}


@cache
def shared(name: str) -> ChartFiles | None:
    """The files of an upstream chart, or None where none lie there."""
    folder = SHARED / name
    if not folder.is_dir():
        return None
    values, crds = folder / "values.yaml", folder / "crds"
    schemas = [path for path in (folder / "values.schema.json", folder / "values.schema.yaml") if path.is_file()]
    return ChartFiles(
        name=name,
        version=versions().get(name, ""),
        values=load(values) if values.is_file() else None,
        schema=load(schemas[0]) if schemas else None,
        subcharts={key: shared(chart) if chart else None for key, chart in SUBCHARTS.get(name, {}).items()},
        crds=tuple(
            item["metadata"]["name"] for path in sorted(crds.glob("*.yaml")) for item in documents(path.read_text(encoding="utf-8"))
        ),
    )


@cache
def own(name: str) -> ChartFiles | None:
    """The files of a chart of ours, or None where it is none."""
    folder = REPOSITORY / "charts" / name
    if not (folder / "Chart.yaml").is_file():
        return None
    about, schema = load(folder / "Chart.yaml"), folder / "values.schema.json"
    return ChartFiles(
        name=about["name"],
        version=str(about["version"]),
        kube_version=str(about.get("kubeVersion", "")),
        values=load(folder / "values.yaml") or {},
        schema=json.loads(schema.read_text(encoding="utf-8")) if schema.is_file() else None,
    )


def files(name: str) -> ChartFiles | None:
    """The files of a chart of ours or of an upstream one."""
    return own(name) or shared(name)


def upstream(name: str) -> ChartFiles:
    """The files of an upstream chart; the test is skipped where they do not lie beside the checkout."""
    found = shared(name)
    if found is None:
        pytest.skip(f"the files of chart {name} are not in {SHARED}: nothing to hold values against")
    return found


@cache
def helm() -> str | None:
    """The program Helm, where it has been made; a test never makes it."""
    try:
        return str(placed(["helm"], Anywhere(), {"aarch64": "arm64"}.get(platform.machine(), "amd64"))[0]["sources"][0])
    except CantiereError:
        return None


def rendered(release: Release, context: Context) -> list[Any]:
    """What Helm makes of a release of one of our charts; the test is skipped where Helm is not there.

    Raises
    ------
    AssertionError
        Helm refuses the chart or its values.
    """
    program = helm()
    if program is None:
        pytest.skip("helm has not been made on this machine: charts are not rendered")
    command = [program, "template", release.name, str(REPOSITORY / "charts" / release.chart), "--namespace", release.namespace]
    command += ["--kube-version", context.cluster.kubernetes_version, "--values", "-"]
    command += [] if release.crds == "skip" else ["--include-crds"]
    done = subprocess.run(command, input=text(release.values), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{release.name}: {done.stderr.strip()[-2000:]}"
    return list(documents(done.stdout))
