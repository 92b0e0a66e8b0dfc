"""The words and tables of a week's or month's report, each cell as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from operator import attrgetter
from typing import Any, Final

from exporter.names import visible
from exporter.report.accounting.budgets import BudgetRow
from exporter.report.accounting.figures import FIGURES, WIDE, Figure, Form
from exporter.report.accounting.period_findings import IdleShare, MostIdle, OverBudget, OwnedShare, period_findings
from exporter.report.accounting.periods import PeriodDayRow, PeriodReport
from exporter.report.accounting.rows import is_low
from exporter.report.render.cells import title, written
from exporter.report.render.columns import Column
from exporter.speech import ABSENT, N_, Speech

_DAYS: Final = {
    "owned_gpu_hours": 0,
    "owned_busy_gpu_hours": 0,
    "idle_gpu_hours": 0,
    "efficiency_ratio": 0,
    "cost": 0,
    "unallocated_gpu_hours": WIDE,
    "unallocated_busy_gpu_hours": WIDE,
    "unknown_gpu_hours": 0,
    "energy_kwh": WIDE,
    "coverage_ratio": 0,
}
"""The figures of a day, and the columns of a terminal from which they show."""
_SHARES: Final = {
    "owned_gpu_hours": 0,
    "idle_gpu_hours": 0,
    "efficiency_ratio": 0,
    "cost": 0,
    "busy_gpu_hours": WIDE,
    "mean_vram_used_ratio": WIDE,
    "energy_kwh": WIDE,
    "coverage_ratio": 0,
}
"""Those of a share of the time: of users, projects, task types and hosts."""
KINDS: Final = {"week": N_("GPU usage of week {name}"), "month": N_("GPU usage of {name}")}
_BEFORE: Final = {"week": N_("week before"), "month": N_("month before")}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report, whatever the format."""

    name: str
    title: str
    columns: Sequence[Column[Any]]
    rows: Sequence[Any]
    is_in_hours: bool = True
    """Whether its figures without a unit are GPU-hours."""


@dataclass(frozen=True, slots=True)
class PeriodCells:
    """Writes the values of one report."""

    report: PeriodReport
    speech: Speech

    @property
    def title(self) -> str:
        """`GPU usage of 2026-11`."""
        return self.speech.gettext(KINDS[self.report.kind]).format(name=self.report.period)

    @property
    def span(self) -> str:
        """`2026-11-01 – 2026-11-30 (Asia/Taipei)`."""
        return self.speech.aside(f"{self.report.date} – {self.report.to}", self.report.timezone)

    def notes(self) -> Iterator[str]:
        """Yields what the figures rest on, a sentence each."""
        _, report = self.speech.gettext, self.report
        if not report.is_over:
            yield _("It is not over: figures reach up to the end of {day}.").format(day=report.to)
        narrowed = {_("Only users"): report.only_users, _("Only nodes"): report.only_nodes}
        yield from (self.speech.named(what, self.speech.listed(names)) for what, names in narrowed.items() if names)
        if report.before is None:
            yield _("Not compared: days are missing here, or not all before are stored.")

    def sentences(self) -> Iterator[str]:
        """Yields what matters most, a sentence each."""
        _, words = self.speech.gettext, self.speech
        for finding in period_findings(self.report):
            match finding:
                case OwnedShare():
                    yield _("{share} of the capacity was owned.").format(share=words.percent(finding.ratio))
                case IdleShare():
                    yield _("{share} of the owned time that was observed was idle: {hours} GPU-hours.").format(
                        share=words.percent(finding.ratio), hours=words.number(finding.gpu_hours, 0)
                    )
                case MostIdle():
                    yield _("The most idle: {user}, {hours} GPU-hours.").format(
                        user=visible(finding.username), hours=words.number(finding.gpu_hours, 0)
                    )
                case OverBudget():
                    yield _("{name} is over the budget by {amount}.").format(
                        name=visible(finding.budget.name), amount=self.budgeted(finding.budget, finding.excess)
                    )

    def totals(self) -> Iterator[tuple[str, str, str, str]]:
        """Yields the figures of the whole: the title, the value, what it was before, and how they compare."""
        before = self.report.before
        for name, figure in FIGURES.items():
            if figure.in_totals and figure.is_of_days and figure.is_told(self.report.totals):
                value = getattr(self.report.totals, name)
                past = getattr(before.totals, name) if before else None
                change = "" if figure.form in (Form.RATIO, Form.COVERAGE) else self.speech.change(value, past)
                yield title(figure, self.speech), self.value(figure, value), self.value(figure, past), change

    @property
    def before(self) -> str:
        """`month before: 2026-10`, with its dates if it is a part of it."""
        before = self.report.before
        word = self.speech.gettext(_BEFORE[self.report.kind])
        if before is None:
            return word
        return self.speech.named(word, before.period if self.report.is_over else f"{before.date} – {before.to}")

    def value(self, figure: Figure, value: float | None, decimals: int = 1) -> str:
        """Returns a figure in its form."""
        decimals = 2 if figure.form is Form.QUOTIENT else decimals
        return written(figure.form, value, self.speech, self.report.currency, decimals)

    def budgeted(self, row: BudgetRow, amount: float) -> str:
        """Returns an amount in the unit of a budget."""
        if row.unit == "cost":
            return self.speech.money(amount, self.report.currency)
        return self.speech.gettext("{hours} GPU-hours").format(hours=self.speech.number(amount, 1))

    def hours(self, heading: str) -> str:
        """Returns the heading of what is in GPU-hours."""
        return self.speech.aside(heading, self.speech.gettext("GPU-hours"))

    def left_out(self, count: int) -> str:
        """Returns how many rows only the other formats have."""
        return self.speech.ngettext(
            "{count} smaller entry is in the JSON report", "{count} smaller entries are in the JSON report", count
        ).format(count=self.speech.number(count, 0))

    def day(self, row: PeriodDayRow) -> str:
        """`11-03 Tuesday`."""
        return f"{row.date[5:]} {self.speech.weekday(date.fromisoformat(row.date))}"

    def tables(self) -> list[Table]:
        """Returns all tables that have rows, in the order of the page."""
        _, report = self.speech.gettext, self.report
        tasks: Column[Any] = self._count(N_("Tasks"), lambda row: row.task_count)
        shares = partial(self._figures, _SHARES)
        found = [
            Table("budgets", _("Budgets of the month"), self._budgets(), report.budgets, is_in_hours=False),
            Table(
                "days", _("Days"), [self._name(N_("Day"), self.day), *self._figures(_DAYS, report.days)], report.days
            ),
            Table(
                "users",
                _("Users"),
                [self._name(N_("User"), attrgetter("username")), tasks, *shares(report.users)],
                report.users,
            ),
            Table("projects", _("Projects"), [*self._project(), tasks, *shares(report.projects)], report.projects),
            Table(
                "task_types",
                _("Task types"),
                [self._name(N_("Task type"), attrgetter("task_type")), tasks, *shares(report.task_types)],
                report.task_types,
            ),
            Table(
                "nodes",
                _("Nodes"),
                [
                    self._name(N_("Node"), attrgetter("hostname")),
                    Column(_("GPUs"), lambda row: self.speech.number(row.mean_gpu_count, 0)),
                    *self._figures(_DAYS, report.nodes),
                ],
                report.nodes,
            ),
        ]
        return [table for table in found if table.rows]

    def _figures(self, of: Mapping[str, int], rows: Sequence[Any]) -> list[Column[Any]]:
        """Returns the figures of a table; what was unknown, or too little observed, only where there is such time."""
        totals, least = self.report.totals, self.report.min_coverage_ratio
        shown = {name: FIGURES[name] for name in of if FIGURES[name].is_told(totals)}
        if not totals.unknown_gpu_hours:
            shown.pop("unknown_gpu_hours", None)
        if not any(is_low(row.usage.coverage_ratio, least) for row in rows if row.usage):
            shown.pop("coverage_ratio", None)
        return [self._figure(name, figure, of[name]) for name, figure in shown.items()]

    def _figure(self, name: str, figure: Figure, width: int) -> Column[Any]:
        def value(row: Any) -> float | None:
            return None if row.usage is None else getattr(row.usage, name)

        def text(row: Any) -> str:
            is_marked = figure.form is Form.COVERAGE and is_low(value(row), self.report.min_coverage_ratio)
            return ("! " if is_marked else "") + self.value(figure, value(row))

        return Column(title(figure, self.speech), text, least_width=width, field=name)

    def _project(self) -> list[Column[Any]]:
        return [
            self._name(N_("Project"), lambda row: row.project_name or row.project_uuid),
            self._name(N_("Users"), lambda row: " + ".join(row.usernames), WIDE),
        ]

    def _budgets(self) -> list[Column[Any]]:
        _ = self.speech.gettext
        return [
            self._name(N_("Name"), attrgetter("name")),
            Column(_("Allowed"), lambda row: self.budgeted(row, row.allowed), field="allowed"),
            Column(_("Used"), lambda row: self.budgeted(row, row.used), field="used"),
            Column(_("Left"), lambda row: self.budgeted(row, row.left), field="left"),
            Column(_("Used of it"), lambda row: self.speech.percent(row.used_ratio), field="used_ratio"),
        ]

    def _name(self, word: str, text: Callable[[Any], str], least_width: int = 0) -> Column[Any]:
        return Column(
            self.speech.gettext(word),
            lambda row: visible(text(row)) or ABSENT,
            is_figure=False,
            least_width=least_width,
        )

    def _count(self, word: str, value: Callable[[Any], int | None]) -> Column[Any]:
        return Column(self.speech.gettext(word), lambda row: self.speech.number(value(row), 0))
