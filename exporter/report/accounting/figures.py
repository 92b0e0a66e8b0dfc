"""The catalogue of figures: what each is, how it is computed, what it is called and where it shows.

A further figure is a further field of `Usage` and the translation of its word; JSON and its schema, CSV, the tables and
totals of text, Markdown and HTML, and docs/figures.md follow.
"""

# Not `from __future__ import annotations`: annotations carry the catalogue, and are values here.

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isnan
from typing import Annotated, Final, Literal

import numpy as np

from exporter.report.accounting.on_demand import OnDemand
from exporter.report.accounting.row import Row
from exporter.report.accounting.sums import Sums, ratios
from exporter.report.accounting.usage import HOUR
from exporter.report.observed import Floats
from exporter.speech import N_

WIDE: Final = 120
"""Columns of a terminal from which tables show more figures."""
WIDEST: Final = 160
PAGE: Final = 10_000
"""Only pages, which scroll sideways, have the room."""

TableName = Literal["nodes", "gpus", "shares", "tasks"]
"""`shares`: of users, task types and projects."""


class Form(Enum):
    """How a figure is written; the value is its unit in JSON and CSV."""

    HOURS = "GPU-hours"
    RATIO = "0 to 1"
    COVERAGE = "0 to 1, rounded down in text"
    BYTES = "bytes"
    ENERGY = "kWh"
    QUOTIENT = "kWh ÷ GPU-hours"
    MONEY = "`currency`"


@dataclass(frozen=True, slots=True)
class Figure:
    """All about one figure but for its meaning, which is the docstring of its field."""

    word: str
    form: Form
    of: Callable[[Sums], Floats]
    """Of all rows of a table; NaN is what cannot be told."""
    nodes: int | None = None
    """Columns of a terminal from which that table shows it; None: never."""
    gpus: int | None = None
    shares: int | None = None
    tasks: int | None = None
    in_totals: bool = True
    is_of_days: bool = True
    """Whether the sums of days tell it; if not, weeks and months do without."""
    on_card: bool = False
    """Whether it is among the few at the head of the page."""
    is_told: Callable[["Usage"], bool] = lambda _: True
    """Whether a report with these totals shows it at all."""

    def least_width(self, table: TableName) -> int | None:
        """Returns the columns of a terminal from which a table shows it, or None."""
        width: int | None = getattr(self, table)
        return width


class Usage(Row):
    """The figures of one row. Hours are GPU-hours; null: nothing was observed to tell it from."""

    capacity_gpu_hours: Annotated[
        float, Figure(N_("Capacity"), Form.HOURS, lambda sums: sums.whole.seconds / HOUR, nodes=PAGE)
    ]
    """GPUs × time; of a user, type, project or task: its share."""
    observed_gpu_hours: Annotated[
        float, Figure(N_("Observed"), Form.HOURS, lambda sums: sums.whole.observed_seconds / HOUR)
    ]
    """Covered by readings that the history holds."""
    coverage_ratio: Annotated[
        float | None,
        Figure(
            N_("Coverage"),
            Form.COVERAGE,
            lambda sums: ratios(sums.whole.observed_seconds, sums.whole.seconds),
            nodes=0,
            gpus=0,
            shares=0,
            tasks=0,
        ),
    ]
    """Observed ÷ capacity."""
    owned_gpu_hours: Annotated[
        float,
        Figure(
            N_("Owned"),
            Form.HOURS,
            lambda sums: sums.owned.seconds / HOUR,
            nodes=0,
            gpus=PAGE,
            shares=0,
            tasks=0,
            on_card=True,
        ),
    ]
    """Held by a task, shared time included."""
    unallocated_gpu_hours: Annotated[
        float,
        Figure(N_("Unallocated"), Form.HOURS, lambda sums: sums.free.seconds / HOUR, nodes=0, gpus=PAGE, on_card=True),
    ]
    """Held by nobody, as a source of tasks said."""
    unknown_gpu_hours: Annotated[
        float,
        Figure(N_("Unknown"), Form.HOURS, lambda sums: sums.unknown_seconds / HOUR, nodes=0, gpus=PAGE, on_card=True),
    ]
    """No source could say whose: neither idle nor unallocated."""
    owned_observed_gpu_hours: Annotated[
        float,
        Figure(N_("Owned, observed"), Form.HOURS, lambda sums: sums.owned.observed_seconds / HOUR, in_totals=False),
    ]
    """Owned and covered by readings."""
    owned_unobserved_gpu_hours: Annotated[
        float,
        Figure(
            N_("Owned, not observed"),
            Form.HOURS,
            lambda sums: np.maximum(0.0, sums.owned.seconds - sums.owned.observed_seconds) / HOUR,
            in_totals=False,
        ),
    ]
    """What owned has beyond active and idle."""
    busy_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Busy"),
            Form.HOURS,
            lambda sums: sums.hours(sums.whole.busy_seconds),
            nodes=0,
            gpus=PAGE,
            shares=0,
            tasks=WIDE,
        ),
    ]
    """∫ utilization dt."""
    owned_busy_gpu_hours: Annotated[
        float | None,
        Figure(N_("Busy while owned"), Form.HOURS, lambda sums: sums.hours(sums.owned.busy_seconds), on_card=True),
    ]
    """Busy while a task held the GPU."""
    unallocated_busy_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Busy, unallocated"),
            Form.HOURS,
            lambda sums: sums.hours(sums.free.busy_seconds),
            nodes=WIDEST,
            gpus=PAGE,
        ),
    ]
    """Busy while nobody held the GPU: work outside the scheduler."""
    active_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Active"),
            Form.HOURS,
            lambda sums: sums.hours(sums.owned.observed_seconds - sums.owned.idle_seconds),
            shares=PAGE,
            in_totals=False,
        ),
    ]
    """Owned, observed and not idle."""
    idle_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Idle"),
            Form.HOURS,
            lambda sums: sums.hours(sums.owned.idle_seconds),
            nodes=0,
            gpus=PAGE,
            shares=0,
            tasks=WIDE,
            on_card=True,
        ),
    ]
    """Owned, with utilization below the threshold."""
    idle_vram_held_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Idle with VRAM held"),
            Form.HOURS,
            lambda sums: sums.timed_hours(sums.owned.idle_vram_held_seconds),
            nodes=WIDEST,
            gpus=PAGE,
            shares=WIDEST,
            tasks=PAGE,
            in_totals=False,
        ),
    ]
    """Of the idle hours those with VRAM held: nobody else could use the GPU."""
    idle_empty_gpu_hours: Annotated[
        float | None,
        Figure(
            N_("Idle and empty"),
            Form.HOURS,
            lambda sums: sums.timed_hours(np.maximum(0.0, sums.owned.idle_seconds - sums.owned.idle_vram_held_seconds)),
            in_totals=False,
        ),
    ]
    """Of the idle hours those without VRAM held."""
    efficiency_ratio: Annotated[
        float | None,
        Figure(
            N_("Efficiency"),
            Form.RATIO,
            lambda sums: ratios(sums.owned.busy_seconds, sums.owned.observed_seconds),
            nodes=0,
            gpus=PAGE,
            shares=0,
            tasks=0,
            on_card=True,
        ),
    ]
    """Busy while owned ÷ owned time observed."""
    mean_utilization_ratio: Annotated[
        float | None,
        Figure(
            N_("Mean utilization"),
            Form.RATIO,
            lambda sums: ratios(sums.whole.busy_seconds, sums.whole.observed_seconds),
            nodes=PAGE,
            gpus=0,
        ),
    ]
    """Busy ÷ observed."""
    p95_utilization_ratio: Annotated[
        float | None,
        Figure(
            N_("p95 utilization"),
            Form.RATIO,
            lambda sums: sums.p95_utilization,
            is_of_days=False,
            nodes=PAGE,
            gpus=PAGE,
            shares=WIDEST,
        ),
    ]
    """95th percentile of the ten-minute means, weighted by time held."""
    peak_utilization_ratio: Annotated[
        float | None,
        Figure(N_("Peak utilization"), Form.RATIO, lambda sums: sums.peak_utilization, is_of_days=False),
    ]
    """Highest ten-minute mean of any one GPU."""
    mean_vram_used_ratio: Annotated[
        float | None,
        Figure(
            N_("Mean VRAM"),
            Form.RATIO,
            lambda sums: ratios(sums.vram_used_byte_seconds, sums.vram_total_byte_seconds),
            nodes=WIDE,
            gpus=PAGE,
            shares=WIDE,
            tasks=PAGE,
        ),
    ]
    """VRAM in use ÷ VRAM of the GPU, over observed time."""
    p95_vram_used_ratio: Annotated[
        float | None,
        Figure(
            N_("p95 VRAM"),
            Form.RATIO,
            lambda sums: sums.p95_vram_used,
            nodes=PAGE,
            gpus=PAGE,
            is_of_days=False,
        ),
    ]
    """95th percentile of the ten-minute means, weighted by time held."""
    peak_vram_used_bytes: Annotated[
        int | None,
        Figure(
            N_("Peak VRAM"),
            Form.BYTES,
            lambda sums: sums.peak_vram_bytes,
            is_of_days=False,
            nodes=PAGE,
            gpus=PAGE,
            shares=WIDE,
            tasks=PAGE,
        ),
    ]
    """Highest scraped sample of any one GPU; of a share, of the ten-minute cells that are wholly its, if any are."""
    energy_kwh: Annotated[
        float | None,
        Figure(
            N_("Energy"),
            Form.ENERGY,
            lambda sums: sums.energy_kwh,
            nodes=WIDE,
            gpus=PAGE,
            shares=WIDE,
            tasks=WIDEST,
            on_card=True,
        ),
    ]
    """Drawn by the GPUs' sockets."""
    facility_energy_kwh: Annotated[
        float | None,
        Figure(
            N_("Energy of the facility"),
            Form.ENERGY,
            lambda sums: sums.energy_kwh * sums.tariff.pue,
            on_card=True,
            is_told=lambda totals: totals.facility_energy_kwh != totals.energy_kwh,
        ),
    ]
    """Energy × `report.pue`."""
    kwh_per_busy_gpu_hour: Annotated[
        float | None,
        Figure(
            N_("kWh per busy GPU-hour"),
            Form.QUOTIENT,
            lambda sums: None if sums.energy_kwh is None else ratios(sums.energy_kwh, sums.whole.busy_seconds / HOUR),
            nodes=WIDEST,
            shares=PAGE,
        ),
    ]
    """Energy ÷ busy: what is drawn while idle included."""
    cost: Annotated[
        float | None,
        Figure(
            N_("Cost"),
            Form.MONEY,
            lambda sums: sums.cost,
            shares=WIDE,
            tasks=PAGE,
            on_card=True,
            is_told=lambda totals: totals.cost is not None,
        ),
    ]
    """Owned GPU-hours at the price that `report.prices` has for them, in `currency`."""


def _catalogue() -> Iterator[tuple[str, Figure]]:
    for name, field in Usage.model_fields.items():
        (figure,) = (part for part in field.metadata if isinstance(part, Figure))
        yield name, figure


FIGURES: Final[Mapping[str, Figure]] = dict(_catalogue())
"""By the name of the field, in the order in which they are shown."""


def usages(sums: Iterable[Sums]) -> Sequence[Usage]:
    """Returns the figures that are computed from sums, row by row; of the first sums first."""
    of_rows = [np.column_stack([figure.of(each) for figure in FIGURES.values()]) for each in sums]
    values = np.concatenate((np.empty((0, len(FIGURES))), *of_rows))

    def usage(number: int) -> Usage:
        told = (None if isnan(value) else value for value in values[number].tolist())
        return Usage.model_validate(dict(zip(FIGURES, told, strict=True)))

    return OnDemand(len(values), usage)
