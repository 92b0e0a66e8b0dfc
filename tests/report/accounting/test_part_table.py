from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from itertools import starmap
from math import fsum, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Amounts, Ownership
from exporter.report.accounting import part_table, row_cells
from exporter.report.accounting.part_table import PartTable
from exporter.report.accounting.sums import Rows, Sums
from exporter.report.accounting.usage import Part, ReportGpu, Stretch, Tariff
from exporter.report.observed import Cells, Floats

CELLS = 4
SECONDS = 600.0
EDGES = [SECONDS * n for n in range(CELLS + 1)]
LEVELS = st.sampled_from([np.nan, 0.0, 0.25, 0.5, 1.0])
KINDS = st.sampled_from(list(Ownership))
TARIFF = Tariff()


def numbers(of: st.SearchStrategy[float]) -> st.SearchStrategy[Floats]:
    return st.lists(of, min_size=CELLS, max_size=CELLS).map(np.array)


GPUS = st.builds(
    lambda utilization, vram, peaks: ReportGpu(
        "node1",
        0,
        "",
        None,
        None,
        None,
        Cells(np.full(CELLS, SECONDS), utilization, vram, utilization == 0, peaks, 200),
    ),
    numbers(LEVELS),
    numbers(LEVELS),
    numbers(st.sampled_from([np.nan, 10.0, 20.0, 30.0])),
)


def batched(ends: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(ends[::2], ends[1::2], strict=True))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Part], list[list[int]]]:
    """Parts of a few GPUs, and rows that each of them is in at most once."""
    gpus = draw(st.lists(GPUS, min_size=1, max_size=3))
    parts = []
    for _ in range(draw(st.integers(1, 8))):
        instants = draw(st.lists(st.integers(0, 6 * CELLS), min_size=2, max_size=6, unique=True).map(sorted))
        ends = [SECONDS / 6 * instant for instant in instants[: len(instants) // 2 * 2]]
        held = [Stretch(*pair, draw(st.integers(1, 2))) for pair in batched(ends)]
        amounts = Amounts(*draw(st.tuples(*[st.floats(0, 1e6)] * len(Amounts._fields))))
        seconds = sum((stretch.end - stretch.start) / stretch.holders for stretch in held)
        parts.append(Part(draw(st.sampled_from(gpus)), "itrd", "LAB", draw(KINDS), None, seconds, amounts, held))
    of_row = [draw(st.integers(0, 2)) for _ in parts]
    return parts, [[n for n, row in enumerate(of_row) if row == wanted] for wanted in range(3)]


def columns(sums: Sums) -> list[list[float]]:
    found = [getattr(sums, field.name) for field in fields(sums) if field.name != "tariff"]
    return [column.tolist() for one in found for column in (one if isinstance(one, tuple) else (one,))]


def cells_held(parts: Sequence[Part]) -> dict[tuple[int, int], float]:
    """The seconds of each cell, by the identity of its GPU and its place."""
    held: dict[tuple[int, int], float] = defaultdict(float)
    for part in parts:
        assert part.held is not None
        for stretch in part.held:
            for place in range(CELLS):
                within = min(stretch.end, EDGES[place + 1]) - max(stretch.start, EDGES[place])
                held[id(part.gpu), place] += max(0.0, within) / stretch.holders
    return {key: seconds for key, seconds in held.items() if seconds}


def lowest(pairs: Sequence[tuple[float, float]], part: float) -> float:
    """The lowest value that at least this part of the time does not exceed."""
    known = sorted(pair for pair in pairs if not isnan(pair[0]))
    least = fsum(seconds for _, seconds in known) * part * (1 - 1e-9)
    return next(
        (value for n, (value, _) in enumerate(known, 1) if fsum(seconds for _, seconds in known[:n]) >= least), np.nan
    )


@given(tables())
def test_rows_summed_together_are_those_summed_alone(made: tuple[list[Part], list[list[int]]]) -> None:
    parts, rows = made
    table = PartTable.of(parts, EDGES)

    together = columns(table.sums(Rows.of(rows), TARIFF))
    alone = [columns(table.sums(Rows.of([row]), TARIFF)) for row in rows]
    assert np.array_equal(np.array(together), np.array(alone)[:, :, 0].T, equal_nan=True)


@given(tables(), st.integers(1, 6))
def test_rows_summed_in_blocks_are_those_summed_at_once(made: tuple[list[Part], list[list[int]]], most: int) -> None:
    parts, rows = made
    table = PartTable.of(parts, EDGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_cells, "_MOST_CELLS", most)
        patch.setattr(row_cells, "_MOST_LEVELS", most)
        patch.setattr(part_table, "MOST_ROWS", most)
        blocks = columns(table.sums(Rows.of(rows), TARIFF)), table.longest_idle().tolist()

    at_once = columns(table.sums(Rows.of(rows), TARIFF)), table.longest_idle().tolist()
    assert all(starmap(partial(np.array_equal, equal_nan=True), zip(blocks, at_once, strict=True)))


@given(tables())
def test_a_parts_longest_idle_run_is_of_neighbouring_cells(made: tuple[list[Part], list[list[int]]]) -> None:
    parts, _ = made
    table = PartTable.of(parts, EDGES)

    for part, found in zip(parts, table.longest_idle().tolist(), strict=True):
        held, runs = cells_held([part]), [0.0]
        for place in range(CELLS):
            seconds = held.get((id(part.gpu), place), 0.0)
            assert part.cells is not None
            runs.append(runs[-1] + seconds if seconds and part.cells.is_idle[place] else 0.0)
        assert found == pytest.approx(min(max(runs), part.amounts.idle_seconds))


@given(tables())
def test_percentiles_weigh_the_means_of_cells_by_the_time_held(made: tuple[list[Part], list[list[int]]]) -> None:
    parts, rows = made
    sums = PartTable.of(parts, EDGES).sums(Rows.of(rows), TARIFF)

    for n, row in enumerate(rows):
        held = cells_held([parts[place] for place in row])
        cells = {id(part.gpu): part.cells for part in parts if part.cells}
        pairs = [(cells[gpu].utilization[place], seconds) for (gpu, place), seconds in held.items()]
        assert sums.p95_utilization[n] == pytest.approx(lowest(pairs, 0.95), nan_ok=True)
        assert sums.peak_utilization[n] == pytest.approx(lowest(pairs, 1.0), nan_ok=True)


@given(tables())
def test_a_peak_is_of_cells_held_wholly_where_a_gpu_has_such(made: tuple[list[Part], list[list[int]]]) -> None:
    parts, rows = made
    sums = PartTable.of(parts, EDGES).sums(Rows.of(rows), TARIFF)

    for n, row in enumerate(rows):
        mine = [parts[place] for place in row]
        held, peaks = cells_held(mine), []
        for gpu, cells in {id(part.gpu): part.cells for part in mine if part.cells}.items():
            seen = [
                (cells.peak_vram_bytes[place], seconds)
                for (of, place), seconds in held.items()
                if of == gpu and not isnan(cells.peak_vram_bytes[place])
            ]
            peaks += [max(whole)] if (whole := [peak for peak, seconds in seen if seconds >= SECONDS]) else []
            peaks += [max(peak for peak, _ in seen)] if seen and not whole else []
        assert sums.peak_vram_bytes[n] == pytest.approx(max(peaks, default=np.nan), nan_ok=True)


@given(GPUS, st.floats(1.0, SECONDS * CELLS) | st.just(SECONDS * CELLS * (1 - 1e-11)))
def test_parts_that_do_not_tell_when_have_percentiles_only_if_they_make_up_a_gpu(gpu: ReportGpu, held: float) -> None:
    whole = SECONDS * CELLS
    parts = [
        Part(gpu, user, "LAB", Ownership.OWNED, None, seconds, Amounts(), None)
        for user, seconds in (("anna", held), ("bert", whole - held))
    ]
    timed = Part(gpu, "", "", Ownership.OWNED, None, whole, Amounts(), [Stretch(0.0, whole, 1)])
    sums = PartTable.of([*parts, timed], EDGES).sums(Rows.of([[0, 1], [0], [2]]), TARIFF)

    assert np.array_equal(sums.p95_utilization[0], sums.p95_utilization[2], equal_nan=True)
    assert np.array_equal(sums.peak_vram_bytes[0], sums.peak_vram_bytes[2], equal_nan=True)
    assert held >= whole * (1 - 1e-9) or isnan(sums.p95_utilization[1])


@given(tables())
def test_sums_are_exact_and_rounded_once(made: tuple[list[Part], list[list[int]]]) -> None:
    parts, rows = made
    sums = PartTable.of(parts, EDGES).sums(Rows.of(rows), TARIFF)

    assert sums.whole.energy_joules.tolist() == [fsum(parts[n].amounts.energy_joules for n in row) for row in rows]
    assert sums.owned.seconds.tolist() == [fsum(parts[n].seconds for n in row if parts[n].is_owned) for row in rows]
