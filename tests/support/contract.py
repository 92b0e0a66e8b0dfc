"""What the exporter serves, and what a PromQL expression asks for, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from exporter import metrics
from exporter.exposition import Instruments
from exporter.metrics import DEVICE, GPU_FAMILIES, NODE_FAMILIES
from exporter.model import Snapshot

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_METRIC = re.compile(r"(?<![\w:])(amdgpu_\w+|up)(?![\w:])")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def served() -> dict[str, frozenset[str]]:
    """The labels of each series the exporter serves, by the series' name."""
    series = {}
    for of_gpus in GPU_FAMILIES:
        for suffix in _SUFFIXES.get(of_gpus.kind, ("",)):
            series[of_gpus.name + suffix] = frozenset(DEVICE + of_gpus.labels)
    for of_node in NODE_FAMILIES:
        for suffix in _SUFFIXES.get(of_node.kind, ("",)):
            series[of_node.name + suffix] = frozenset(of_node.labels)
    for instrument in vars(Instruments(CollectorRegistry())).values():
        assert isinstance(instrument, MetricWrapperBase)
        labels = frozenset(instrument._labelnames)
        for suffix in _SUFFIXES[str(instrument._type)]:
            series[instrument._name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return series


def families(snapshot: Snapshot) -> list[Metric]:
    """All that is served of a node, as prometheus_client has it."""
    return [shown.metric(series) for shown in metrics.shown(snapshot) if (series := shown.series())]


@dataclass(frozen=True, slots=True)
class Registry(Collector):
    """A node and its instruments, for prometheus_client's own encoders."""

    snapshot: Snapshot
    instruments: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        yield from families(self.snapshot)
        yield from self.instruments.collect()


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics, those of recording rules left out."""
    return set(_METRIC.findall(_STRING.sub('""', expression)))


def labels_in(expression: str) -> set[str]:
    """The names of the labels in matchers and groupings."""
    bare = _STRING.sub('""', expression)
    matched = (re.findall(r"(\w+)\s*[=!]", matchers) for matchers in _MATCHERS.findall(bare))
    grouped = (re.findall(r"\w+", names) for names in _GROUPING.findall(bare))
    return {name for names in (*matched, *grouped) for name in names}
