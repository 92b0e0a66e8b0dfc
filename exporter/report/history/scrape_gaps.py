"""The one door to dividing what no scrape saw: a stretch in which scrapes failed, and tasks started or ended.

Device counters bear no owner. Between two scrapes they are taken to grow evenly, and where a task starts or ends their
height on that line is read. With 15 s between scrapes that misplaces some seconds. It misplaces hours where scrapes
failed for hours: Anna's task was idle until 11:20, Bert's was busy from then on, and the line gives Anna nearly all.

    busy seconds
         |                                    .-o  the first scrape after
         |     straight line           . - `   /
         |                      . - `         /
         |               . - `               /     what really was
         |        . - `                     /
         |  o - `- - - - - - - - - - - - - '       the last scrape before
         +--|------------------------------|----|--> time
          start                          11:20 end
               Anna's task, idle           Bert's, busy

Only Prometheus was blind, though. The exporter ran on, and booked what it read to owners: its owner series
(`amdgpu_owner_*`) are counters, too. What each owner's counters gained from before the gap to after it tells how the
sum divides, and so how the curve bends at 11:20. Where the tasks are known, owner series feed a report's figures here
alone (beside the days before, which those are compared with).

1. `gap_division.gaps_of` finds the gaps: two neighbouring samples of a GPU, two missed scrapes or more apart, with a
   start or an end of one of its tasks between. If the exporter was restarted there, its counters say when; the gap then
   begins at the restart, at which all owner counters stood at 0, and what was before it nobody knows. Across an edge of
   the window, the tasks of the gap are asked for, too (`gaps_across`): one that ended yesterday gained there.

2. `owner_totals.owner_totals` asks for the owner series on either side. They lag: the exporter waits for the API before
   it books, and serves a new owner flat at first. Up to which instant a scrape's owner series are complete follows from
   `amdgpu_exporter_unbooked_seconds` beside them (`OwnerTotals.until`). So the first scrape counts whose totals reach
   the end of the gap: a minute or two after it, at most 15. An owner that is back after its series was dropped goes on
   from the last sample before, however long ago, of the same life of the exporter.

3. `gap_division.divided` takes away what accrued between those instants and the gap, where the curve is exact. Each
   owner gained its share of each piece that it held: these equations are solved for the pieces, all owners at once, as
   nearly as is possible: no owner had more than the time it held, no piece more busy seconds than observed ones, no
   part is negative. What is left over falls to the time that nobody claims.

The sum between the two scrapes is that of the device counters, whatever owner series say: they tell only how it
divides. Where they are missing on either side the straight line stays. What is divided by time alone all the same is
listed in docs/accounting.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.model import Hold
from exporter.report.history.counters import CounterCurve
from exporter.report.history.gap_division import SETTLED_SECONDS, divided, gaps_of, rows_across
from exporter.report.history.gpus import Vram
from exporter.report.history.owner_totals import owner_totals
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Samples
from exporter.report.observed import Floats
from exporter.report.window import Window


def spans_around_gaps(times: Floats, instants: Sequence[float] | Floats, least_gap: float) -> Iterator[Span]:
    """Returns where all samples are wanted to divide the gaps across instants: on either side until all is booked.

    Args:
        times: Unix seconds of a GPU's samples, ascending; so many that only gaps and straight lines are missing.
        instants: Unix seconds at which the counters have to be exact.
        least_gap: Seconds; no gap is shorter.
    """
    for n in rows_across(times, instants, least_gap):
        yield times[n - 1] - SETTLED_SECONDS, times[n] + SETTLED_SECONDS


def gaps_across(devices: Iterable[Samples], instants: Sequence[float] | Floats, least_gap: float) -> set[Span]:
    """Returns the stretches without scrapes of any GPU in which instants lie, one for each.

    Args:
        devices: Samples of the device counters, all that there are around the instants.
        instants: Unix seconds.
        least_gap: Seconds; no gap is shorter.
    """
    gaps = [
        (samples.times[n - 1], samples.times[n])
        for samples in devices
        for n in rows_across(samples.times, instants, least_gap)
    ]
    around = ([gap for gap in gaps if gap[0] < instant <= gap[1]] for instant in instants)
    return {(min(start for start, _ in each), max(end for _, end in each)) for each in around if each}


async def gaps_divided(
    sampler: Sampler,
    window: Window,
    devices: Mapping[str, Samples],
    curves: Mapping[str, CounterCurve],
    holds: Mapping[str, Sequence[Hold]],
    *,
    vram: Mapping[str, Vram],
) -> dict[str, CounterCurve]:
    """Returns the curves of the GPUs whose tasks start or end while scrapes failed, bent there; no others.

    Args:
        sampler: Reads the owner series.
        window: Only gaps that reach into it are divided.
        devices: The samples of the device counters by GPU; all that there are within `spans_around_gaps`.
        curves: Their curves, straight across gaps.
        holds: Who had each GPU.
        vram: The memory of each GPU.

    Raises:
        HistoryError: As the client raises it.
    """
    gaps = {
        uuid: [
            gap
            for gap in gaps_of(samples, sampler.least_gap, holds[uuid])
            if gap.start < window.end and gap.end > window.start
        ]
        for uuid, samples in devices.items()
    }
    bent: dict[str, CounterCurve] = {}
    for (uuid, gap), (before, after) in (await owner_totals(sampler, devices, curves, gaps)).items():
        bent[uuid] = divided(
            bent.get(uuid, curves[uuid]), gap, holds[uuid], before, after, vram_total_bytes=vram[uuid].total_bytes
        )
    return bent
