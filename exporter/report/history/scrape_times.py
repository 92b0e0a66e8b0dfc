"""When the samples of a grid were scraped."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import SCRAPE_TIMES, any_of, batches
from exporter.report.history.responses import Series
from exporter.report.history.samples import Labels, Samples, SamplesBySeries
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS

_LOOKED_BACK = 3600.0
"""Seconds: no server looks further back from an instant for a sample."""
_OF_OWNER = frozenset({"username", "task_type", "ownership"})
_OF_GPU = frozenset({"gpu", "gpu_uuid"})


class ScrapeTimes:
    """The samples' own times. All that one scrape tells has one time, so one reference GPU of each node is enough.

    Args:
        client: The server.
        start: The first instant of the grid, in Unix seconds.
        end: No instant of the grid is later.
        reference_gpus: Unique ids, one or more of each node.
    """

    def __init__(self, client: PrometheusClient, start: float, end: float, reference_gpus: Collection[str]) -> None:
        self._client = client
        self._start = start
        self._end = end
        self._reference_gpus = reference_gpus
        self._of_reference: dict[float, dict[Labels, Series]] = {}
        """By offset."""

    async def load(self, offset: float) -> None:
        """Asks for the times of the grid at an offset in seconds, if that is not done yet."""
        if offset not in self._of_reference:
            self._of_reference[offset] = await self._ask(self._reference_gpus, offset, _OF_OWNER | _OF_GPU)

    async def stamp(self, tables: SamplesBySeries, offset: float) -> SamplesBySeries:
        """Puts the samples' own times where the instants of the grid stand; samples that have none are left out."""
        of_reference = self._of_reference[offset]
        times = {
            labels: _looked_up(samples.times, of_reference.get(_without(_OF_OWNER | _OF_GPU, labels)))
            for labels, samples in tables.items()
        }
        # Where a reference GPU was lost, or its node is not scraped as one, the others are asked themselves.
        untold = [labels for labels, found in times.items() if np.isnan(found).any()]
        if untold:
            own = await self._ask({dict(labels)["gpu_uuid"] for labels in untold}, offset, _OF_OWNER)
            for labels in untold:
                found = _looked_up(tables[labels].times, own.get(_without(_OF_OWNER, labels)))
                times[labels] = np.where(np.isnan(times[labels]), found, times[labels])
        return {labels: _stamped(samples, times[labels]) for labels, samples in tables.items()}

    async def _ask(self, uuids: Collection[str], offset: float, left_out: frozenset[str]) -> dict[Labels, Series]:
        """Returns the times of some GPUs, by the labels that are not left out."""
        found: dict[Labels, Series] = {}
        for some in batches(uuids, 1):
            found |= await self._ask_some(some, offset, left_out)
        return found

    async def _ask_some(self, uuids: Collection[str], offset: float, left_out: frozenset[str]) -> dict[Labels, Series]:
        question = SCRAPE_TIMES.ask(self._client.scope(any_of("gpu_uuid", uuids)), offset_seconds=offset)
        # `timestamp()` of Prometheus 2.42 starts over from the query's first sample at each step. A query costs it
        # some 3 ms, a sample 30 ns: so many steps cost least at 15 s between scrapes.
        steps = max(1, round(math.sqrt(5000 / len(uuids))))
        answer = await self._client.range(question, self._start, self._end, CELL_SECONDS, steps)
        return {_without(left_out, frozenset(series.labels.items())): series for series in answer}


def _without(names: frozenset[str], labels: Labels) -> Labels:
    return frozenset(label for label in labels if label[0] not in names)


def _looked_up(instants: Floats, series: Series | None) -> Floats:
    """Returns the values at instants; NaN where there is none, or one that cannot be when a sample was scraped."""
    found = np.full(len(instants), np.nan)
    if series is not None:
        _, ours, theirs = np.intersect1d(instants, series.times, assume_unique=True, return_indices=True)
        found[ours] = series.values[theirs]
    found[np.abs(found - instants) > _LOOKED_BACK] = np.nan
    return found


def _stamped(samples: Samples, times: Floats) -> Samples:
    known = ~np.isnan(times)
    return Samples(times[known], samples.counters[known])
