from __future__ import annotations

from docs import generate


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert generate.METRICS.read_text(encoding="utf-8") == generate.metrics()


def test_the_schema_of_the_report_is_up_to_date() -> None:
    assert generate.SCHEMA.read_text(encoding="utf-8") == generate.schema()
