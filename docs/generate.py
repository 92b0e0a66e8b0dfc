"""Writes the pages and schemas that are made from the code: `python docs/generate.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from exporter.exposition import Instruments
from exporter.metrics import DEVICE, GPU_FAMILIES, NODE_FAMILIES, Family
from exporter.model import GpuState, Snapshot
from exporter.portal.views import GpusAnswer, UserAnswer
from exporter.report.accounting.figures import FIGURES, PAGE, Figure, TableName, Usage
from exporter.report.accounting.periods import PeriodReport
from exporter.report.accounting.row import meanings
from exporter.report.accounting.rows import Report
from exporter.speech import languages, speech

METRICS = Path(__file__).parent / "metrics.md"
FIGURES_PAGE = Path(__file__).parent / "figures.md"
SCHEMA = Path(__file__).parent / "report.schema.json"
PERIOD_SCHEMA = Path(__file__).parent / "period.schema.json"
PORTAL_SCHEMA = Path(__file__).parent / "portal.schema.json"

_HEAD = """\
# Metrics

Generated from the code by `python docs/generate.py`; a test holds it up to date.

Units are base units. A GPU that cannot be read loses its gauges and shows `amdgpu_up 0`; its counters hold their
value. What the hardware does not give has no series. [accounting.md](accounting.md) tells how the counters are made.

`hostname`, `gpu` (its index on the node, as `amd-smi list` prints it) and `gpu_uuid` (its unique id, 16 hex digits)
are on every metric of a GPU. `username` and `task_type` are empty unless `ownership` is `owned` or `shared`; on
gauges a shared GPU's names, and types, are sorted and joined by `+`, on owner counters each user has series of its own.
"""


_FIGURES_HEAD = """\
# Figures

Generated from the code by `python docs/generate.py`; a test holds it up to date.

What stands in every `usage` of report.json, as columns of the CSV files, and under these words in text, HTML and
Markdown. Hours are GPU-hours; null, and – for people, means that nothing was observed to tell it from. On users, task
types, projects and tasks a row holds the share: its capacity is its owned time. Means are weighted by observed time.
[accounting.md](accounting.md) tells what they are made of, and what they are blind to.
"""
_TABLES: dict[str, TableName] = {"nodes": "nodes", "GPUs": "gpus", "users, types, projects": "shares", "tasks": "tasks"}


def metrics() -> str:
    """The page."""
    parts = [_HEAD, "## Of each GPU\n", *_table(_row(family) for family in GPU_FAMILIES)]
    parts += ["\n## Of the node\n", *_table(_row(family) for family in NODE_FAMILIES)]
    parts += ["\n## Of the exporter's own work\n", *_table(_instruments())]
    parts.append("\nBeside these there are the usual `process_*` of the service's own process.\n")
    return "\n".join(parts)


def figures() -> str:
    """The page."""
    words, told = [speech(language) for language in languages()], meanings(Usage)
    head = ["field", *(f"word ({language})" for language in languages()), "unit", "meaning", "shown in"]
    rows = [
        [
            f"`{name}`",
            *(word.gettext(figure.word) for word in words),
            figure.form.value,
            told[name],
            "; ".join(_shown(figure)),
        ]
        for name, figure in FIGURES.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([_FIGURES_HEAD, *(f"| {' | '.join(line)} |" for line in lines), ""])


def _shown(figure: Figure) -> Iterator[str]:
    """Where it shows, and from which width of the terminal."""
    if figure.in_totals:
        yield "totals"
    for word, table in _TABLES.items():
        width = figure.least_width(table)
        if width is not None:
            yield word + (" (HTML)" if width == PAGE else f" (from {width} columns)" if width else "")


def schema() -> str:
    """JSON Schema of report.json of a day, or several."""
    return _schema("report", Report)


def period_schema() -> str:
    """JSON Schema of report.json of a week or month."""
    return _schema("period", PeriodReport)


def portal_schema() -> str:
    """JSON Schema of what the portal answers: `GpusAnswer` of /api/v1/gpus, `UserAnswer` of /api/v1/users/NAME."""
    _, document = models_json_schema([(GpusAnswer, "serialization"), (UserAnswer, "serialization")])
    answers = [{"$ref": f"#/$defs/{kind.__name__}"} for kind in (GpusAnswer, UserAnswer)]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:mi300x-exporter:portal:1"}
    return json.dumps({**head, "oneOf": answers, **document}, indent=2, ensure_ascii=False) + "\n"


def _schema(name: str, kind: type[BaseModel]) -> str:
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:mi300x-exporter:{name}:1",
        **kind.model_json_schema(mode="serialization"),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _row(family: Family[GpuState] | Family[Snapshot]) -> tuple[str, str, str, str]:
    name = f"{family.name}_total" if family.kind == "counter" else family.name
    return name, family.kind, ", ".join(label for label in family.labels if label not in DEVICE), family.help


def _instruments() -> Iterator[tuple[str, str, str, str]]:
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    labels = {
        "amdgpu_exporter_device_errors": "gpu, gpu_uuid, kind",
        "amdgpu_exporter_worker_restarts": "reason",
        "amdgpu_exporter_task_refreshes": "result",
    }
    assert instruments
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield name, family.type, labels.get(family.name, ""), family.documentation


def _table(rows: Iterator[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| metric | type | own labels | meaning |"
    yield "|---|---|---|---|"
    for name, kind, labels, meaning in rows:
        yield f"| `{name}` | {kind} | {labels} | {meaning} |"


if __name__ == "__main__":
    METRICS.write_text(metrics(), encoding="utf-8")
    FIGURES_PAGE.write_text(figures(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
    PERIOD_SCHEMA.write_text(period_schema(), encoding="utf-8")
    PORTAL_SCHEMA.write_text(portal_schema(), encoding="utf-8")
