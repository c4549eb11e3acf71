"""What a chart's own files say: the measure that values are checked against. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cantiere.overlay import merged


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """A chart as its own files describe it.

    Parameters
    ----------
    name, version:
        Of its ``Chart.yaml``.
    kube_version:
        The versions of Kubernetes that it takes, as ``Chart.yaml`` writes them (``>=1.28.0-0``); ``""`` where it says nothing.
    values:
        Its default values, or None where they are not known.
    schema:
        Its ``values.schema.json``, or None where it has none.
    subcharts:
        Key of the values under which a dependency takes its own, to that chart's files; None where those are not known.
    crds:
        CustomResourceDefinitions in its folder ``crds/``.
    kinds:
        Kinds of objects that its templates and those of its dependencies name.
    """

    name: str
    version: str = ""
    kube_version: str = ""
    values: Mapping[str, Any] | None = None
    schema: Mapping[str, Any] | None = None
    subcharts: Mapping[str, ChartFiles | None] = field(default_factory=dict)
    crds: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()

    def defaults(self) -> Mapping[str, Any] | None:
        """Default values with those of its dependencies under their keys; None where its own are not known."""
        if self.values is None:
            return None
        own = dict(self.values)
        for key, chart in self.subcharts.items():
            below = chart.defaults() if chart else None
            if below is not None:
                given = own.get(key)
                own[key] = merged(below, given) if isinstance(given, Mapping) else below
        return own
