from __future__ import annotations

from docs import generate


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert generate.METRICS.read_text(encoding="utf-8") == generate.metrics()
