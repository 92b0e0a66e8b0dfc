from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import ValidationError as RowError

from exporter.report.accounting.rows import Report
from exporter.report.render import json
from tests.support.reports import HOSTILE_NAMES, sample

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


def validator() -> Draft202012Validator:
    schema = json_format.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.loads(json.render(sample(8, **changes).report))
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"price": None, "to": "2025-07-23"},
        {"tasks": "labels"},
        {"tasks": "none"},
        {"history": False},
        {"now": "2025-07-22T03:17"},
        {"usernames": dict(zip(("itrd", "admin", "nycubme", "easycard"), HOSTILE_NAMES, strict=True))},
    ],
)
def test_every_kind_of_report_keeps_to_the_schema(changes: dict[str, Any]) -> None:
    validator().validate(document(**changes))


def test_the_schema_refuses_what_is_no_report() -> None:
    broken = document()
    broken["totals"]["busy_gpu_hours"] = "12"
    with pytest.raises(ValidationError):
        validator().validate(broken)
    del broken["totals"]
    with pytest.raises(ValidationError):
        validator().validate(broken)


def test_the_schema_bears_fields_that_later_versions_add() -> None:
    later = document()
    later["later"] = 1
    for row in (later["totals"], later["sources"], *later["gpus"], *later["users"], *later["waste"]):
        row["later"] = {"more": 1}
    validator().validate(later)


def test_only_the_making_of_a_report_refuses_fields_it_does_not_know() -> None:
    with pytest.raises(RowError, match="extra"):
        Report.model_validate(document() | {"later": 1})


def test_where_labels_alone_tell_the_owners_tasks_are_not_counted() -> None:
    found = document(tasks="labels")

    assert found["users"]
    assert {row["task_count"] for row in (*found["users"], *found["task_types"])} == {None}
    assert found["projects"] == found["tasks"] == []


def test_nothing_is_lost_on_the_way_through_json() -> None:
    report = sample(8).report

    assert Report.model_validate_json(json.render(report)) == report


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_pieces_are_the_document_however_many_tasks_there_are(count: int) -> None:
    report = sample(8).report
    name = '  "tasks": [],\n'
    tasks = [report.tasks[0].model_copy(update={"task_id": f"{name}{n}"}) for n in range(count)]
    report = report.model_copy(update={"tasks": tasks})

    assert json.render(report) == report.model_dump_json(indent=2) + "\n"
    assert max(piece.count(b'"task_id"') for piece in json.pieces(report)) <= 1000


def test_a_figure_that_is_no_number_is_refused() -> None:
    usage = sample(8).report.totals
    with pytest.raises(RowError, match="finite"):
        type(usage).model_validate(usage.model_dump() | {"busy_gpu_hours": float("nan")})


def test_every_field_of_the_usage_is_described_or_plain() -> None:
    usage = json_format.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]["Usage"]

    assert usage["properties"]["busy_gpu_hours"]["description"] == "∫ utilization dt."
    assert set(usage["required"]) == set(usage["properties"])
