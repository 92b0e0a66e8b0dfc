"""The report for programs: JSON, and the schema that it keeps to.

`python -m exporter.report.render.json > docs/report.schema.json` publishes the schema.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from exporter.report.rows import Report


def render(report: Report) -> str:
    """The whole report, unrounded; null is what cannot be told."""
    return report.model_dump_json(indent=2) + "\n"


def schema() -> str:
    """JSON Schema (draft 2020-12) of what `render` returns."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mi300x-exporter:report:1",
        **Report.model_json_schema(mode="serialization"),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
