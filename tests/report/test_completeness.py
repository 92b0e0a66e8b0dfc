from __future__ import annotations

import pytest

from exporter.errors import HistoryUnreachableError, TasksAuthError
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import NodeRow
from exporter.report.completeness import (
    CoverageLow,
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    TimeUnpriced,
    is_complete,
    low_coverage,
)
from exporter.report.warnings import warning
from exporter.speech import languages, speech

GRAVE: list[Fault] = [
    TasksMissing(TasksAuthError("consumption API http://api: refused")),
    HistoryMissing(HistoryUnreachableError("http://prometheus: refused")),
    HistoryRemark("a store did not answer", lacks_data=True),
    CoverageLow("gpu1", 0.5, 0.99),
]
LIGHT: list[Fault] = [
    TasksUnset(),
    TasksMalformed(3),
    HistoryRemark("a query was slow", lacks_data=False),
    GpusUnlisted("gpu1", 9, 8),
    TimeUnpriced(3.5),
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
