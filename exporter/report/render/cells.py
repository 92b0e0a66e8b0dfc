"""The values of a report as people read them, in one language."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.report.accounting.figures import FIGURES, Figure, Form
from exporter.report.accounting.rows import Report, is_low
from exporter.speech import ABSENT, N_, Speech

NOT_AVAILABLE = "N/A"
"""What stands for what no source could tell."""


def coverage(ratio: float | None, speech: Speech) -> str:
    """Returns `99.9%`, rounded down: only what is whole shows as 100."""
    return speech.percent(ratio if ratio is None else math.floor(ratio * 1000 + 1e-6) / 1000)


def written(form: Form, value: float | None, speech: Speech, currency: str | None, decimals: int = 2) -> str:
    """Returns a figure in its form, which has the unit unless it is hours or energy."""
    match form:
        case Form.RATIO:
            return speech.percent(value)
        case Form.COVERAGE:
            return coverage(value, speech)
        case Form.BYTES:
            return speech.gibibytes(value)
        case Form.MONEY:
            return speech.money(value, currency)
        case Form.HOURS | Form.ENERGY | Form.QUOTIENT:
            return speech.number(value, decimals)


def title(figure: Figure, speech: Speech) -> str:
    """Returns what a figure is called, with its unit if it is energy."""
    word = speech.gettext(figure.word)
    return speech.aside(word, "kWh") if figure.form is Form.ENERGY else word


@dataclass(frozen=True, slots=True)
class Cells:
    """Writes the values of one report."""

    report: Report
    speech: Speech

    def value(self, form: Form, value: float | None, decimals: int = 2) -> str:
        """Returns a figure in its form, which has the unit unless it is hours or energy."""
        return written(form, value, self.speech, self.report.currency, decimals)

    def marked(self, ratio: float | None) -> str:
        """Returns a coverage, as `! 98.4%` where it is below the least that is expected."""
        return ("! " if self.is_low(ratio) else "") + coverage(ratio, self.speech)

    def is_low(self, ratio: float | None) -> bool:
        """Returns whether a coverage is below the least that is expected."""
        return is_low(ratio, self.report.min_coverage_ratio)

    def title(self, figure: Figure) -> str:
        """Returns what a figure is called, with its unit if it is energy."""
        return title(figure, self.speech)

    def told(self) -> dict[str, Figure]:
        """Returns the figures that this report shows anywhere."""
        return {name: figure for name, figure in FIGURES.items() if figure.is_told(self.report.totals)}

    def totals(self) -> Iterator[tuple[str, Form, str, str]]:
        """Yields the figures of the whole: the name of the field, its form, its title and its value."""
        for name, figure in self.told().items():
            if figure.in_totals:
                value = getattr(self.report.totals, name)
                shown = self.marked(value) if figure.form is Form.COVERAGE else self.value(figure.form, value)
                yield name, figure.form, self.title(figure), shown

    def change(self, form: Form, value: float | None, before: float | None) -> str:
        """Returns how a figure compares with what it was, as `+12%`; of ratios both values say it better."""
        return "" if form is Form.RATIO else self.speech.change(value, before)

    def left_out(self, count: int) -> str:
        """Returns how many rows only the other formats have."""
        return self.speech.ngettext(
            "{count} smaller entry is in the JSON report", "{count} smaller entries are in the JSON report", count
        ).format(count=self.speech.number(count, 0))

    def gpu(self, index: int | None, gpu_id: str | None) -> str:
        """Returns `GPU 3 · id 27`: its index on its node, and the number that the API gives it."""
        name = f"GPU {ABSENT if index is None else index}"
        if not gpu_id:
            return name
        message = N_("GPU id {number}") if index is None else N_("{gpu} · id {number}")
        return self.speech.gettext(message).format(gpu=name, number=gpu_id)

    def hours(self, title: str) -> str:
        """Returns the heading of what is in GPU-hours."""
        return self.speech.aside(title, self.speech.gettext(N_("GPU-hours")))

    def nothing(self, rows: str) -> str:
        """Returns what stands for an empty list of the report: there are none, or no source could tell."""
        if not is_told(rows, self.report):
            return NOT_AVAILABLE
        return self.speech.gettext(N_("no tasks") if rows == "tasks" else N_("none"))


def is_told(rows: str, report: Report) -> bool:
    """Returns whether an empty list of the report means that there are none; if not, no source could tell."""
    tasks, history = report.sources.tasks, report.sources.history
    match rows:
        case "tasks" | "projects":
            return tasks in {"api", "history"}
        case "waste":
            return tasks in {"api", "history"} and history == "prometheus"
        case "users" | "task_types":
            return tasks != "none"
        case _:
            return True
