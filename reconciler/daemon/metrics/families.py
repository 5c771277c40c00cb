"""Samples that are made when somebody asks: what is gone has none any more, by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from reconciler.daemon.metrics.catalogue import METRICS


class Gauges:
    """Gauges of the catalogue, as of one moment; those of `names` are there even without a sample."""

    def __init__(self, names: Iterable[str]) -> None:
        self._families: Final = {
            name: GaugeMetricFamily(name, METRICS[name].help, labels=METRICS[name].labels) for name in names
        }

    def add(self, name: str, value: float | None, *labels: str) -> None:
        """A sample of `name`, without `reconciler_`; None is not known, which is not 0."""
        if value is not None:
            self._families[f"reconciler_{name}"].add_metric(labels, float(value))

    def families(self) -> tuple[GaugeMetricFamily, ...]:
        """In the order of the catalogue."""
        return tuple(self._families.values())
