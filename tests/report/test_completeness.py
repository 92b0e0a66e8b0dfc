from __future__ import annotations

from datetime import date

import pytest

from exporter.errors import HistoryUnreachableError, TasksAuthError
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.periods import Doubts
from exporter.report.accounting.rows import NodeRow
from exporter.report.completeness import (
    BudgetUnknown,
    CoverageLow,
    Days,
    DaysMissing,
    DaysPartial,
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    RuleUnused,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    TasksUntold,
    TimeUnpriced,
    is_complete,
    low_coverage,
    period_faults,
)
from exporter.report.warnings import warning, worded
from exporter.speech import languages, speech
from tests.support.periods import period_report
from tests.support.reports import sample

GRAVE: list[Fault] = [
    TasksMissing(TasksAuthError("consumption API http://api: refused")),
    TasksMissing(TasksAuthError("consumption API http://api: refused"), has_shown=True),
    HistoryMissing(HistoryUnreachableError("http://prometheus: refused")),
    HistoryRemark("a store did not answer", lacks_data=True),
    CoverageLow("gpu1", 0.5, 0.99),
    DaysMissing(Days(date(2025, 7, 1), date(2025, 7, 3)), "http://prometheus: refused"),
    DaysPartial((Days(date(2025, 7, 5), date(2025, 7, 5)),)),
]
LIGHT: list[Fault] = [
    TasksUnset(),
    TasksUnset(has_shown=True),
    TasksUntold(4.621),
    TasksMalformed(3),
    HistoryRemark("a query was slow", lacks_data=False),
    GpusUnlisted("gpu1", 9, 8),
    TimeUnpriced(3.5),
    BudgetUnknown("nobody"),
    RuleUnused(7),
]


def node(hostname: str, coverage_ratio: float | None) -> NodeRow:
    return NodeRow.model_construct(
        None, hostname=hostname, usage=Usage.model_construct(None, coverage_ratio=coverage_ratio)
    )


@pytest.mark.parametrize("fault", GRAVE, ids=lambda fault: type(fault).__name__)
def test_a_missing_source_missing_data_or_low_coverage_makes_a_report_incomplete(fault: Fault) -> None:
    assert not is_complete([*LIGHT, fault])


def test_what_only_wants_to_be_known_leaves_a_report_complete() -> None:
    assert is_complete([])
    assert is_complete(LIGHT)


def test_coverage_is_low_below_what_is_expected_and_never_where_there_is_nothing_to_cover() -> None:
    rows = [node("gpu1", 0.98), node("gpu2", 0.99), node("gpu3", None), node("gpu4", 0.0)]

    assert list(low_coverage(rows, 0.99)) == [CoverageLow("gpu1", 0.98, 0.99), CoverageLow("gpu4", 0.0, 0.99)]


@pytest.mark.parametrize("language", languages())
def test_every_fault_has_a_sentence_of_its_own_that_tells_all_it_knows(language: str) -> None:
    sentences = [warning(fault, speech(language)) for fault in (*GRAVE, *LIGHT)]

    assert len(set(sentences)) == len(sentences)
    for fault, sentence in zip((*GRAVE, *LIGHT), sentences, strict=True):
        told = [getattr(fault, name) for name in fault.__slots__]
        assert all(
            str(fact) in sentence for fact in told if isinstance(fact, (str, int)) and not isinstance(fact, bool)
        )
        assert all(str(fact) in sentence for fact in told if isinstance(fact, Exception))


def test_days_of_a_month_that_lack_something_are_told_as_runs() -> None:
    report = period_report(missing=2)
    failures = {date(2025, 7, 30): "refused", date(2025, 7, 31): "refused", date(2025, 7, 2): "timed out"}
    partial = [row.model_copy(update={"is_whole": row.date not in {"2025-07-08", "2025-07-09"}}) for row in report.days]
    doubts = Doubts(("nobody",), (2,), 1.5)

    assert list(period_faults(report.model_copy(update={"days": partial, "nodes": []}), failures, doubts)) == [
        DaysMissing(Days(date(2025, 7, 2), date(2025, 7, 2)), "timed out"),
        DaysMissing(Days(date(2025, 7, 30), date(2025, 7, 31)), "refused"),
        DaysPartial((Days(date(2025, 7, 8), date(2025, 7, 9)),)),
        BudgetUnknown("nobody"),
        RuleUnused(2),
        TimeUnpriced(1.5),
    ]


def test_one_account_is_worded_in_every_language_and_differs_in_its_warnings_alone() -> None:
    report = sample(8).report
    read = {language: worded(report, [*GRAVE, *LIGHT], language) for language in languages()}

    assert len({tuple(one.warnings) for one in read.values()}) == len(languages())
    assert {len(one.warnings) for one in read.values()} == {len(GRAVE) + len(LIGHT)}
    assert all(one.model_copy(update={"warnings": report.warnings}) == report for one in read.values())
