from __future__ import annotations

from typing import get_args

import pytest

from exporter.config import Delivery
from exporter.report.delivery.due import Kind, due

TARGETS = [
    Delivery.model_validate({"to": "json://localhost", "when": when})
    for when in ("daily", "weekly", "monthly", "on-fault")
]


@pytest.mark.parametrize(
    ("kind", "is_faulty", "places"),
    [
        ("day", False, [0]),
        ("day", True, [0, 3]),
        ("week", False, [1]),
        ("week", True, [1]),
        ("month", False, [2]),
        ("month", True, [2]),
    ],
)
def test_each_kind_of_report_goes_to_those_who_asked_for_it(kind: Kind, places: list[int], *, is_faulty: bool) -> None:
    assert [place for place, _ in due(TARGETS, kind, is_faulty=is_faulty)] == places


def test_every_target_gets_some_kind_of_report() -> None:
    assert {place for kind in get_args(Kind) for place, _ in due(TARGETS, kind, is_faulty=True)} == {0, 1, 2, 3}
