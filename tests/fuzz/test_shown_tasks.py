"""What hostile series of tasks do to those who read who held what from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.aliases import GpuNames
from exporter.config import Prometheus
from exporter.errors import HistoryError
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.report.history.shown_tasks import shown_tasks
from exporter.tasks.listing import as_json, held
from tests.fuzz.fuzzing import NUMBERS, TEXTS, reads_or_refuses

T = TypeVar("T")
UUID, OTHER = "52f67b3700dcc6f3", "00000000000000bb"
START, END = 1753113600.0, 1753200000.0
NAMES = (
    "amdgpu_task_info",
    "amdgpu_task_start_timestamp_seconds",
    "amdgpu_task_end_timestamp_seconds",
    "amdgpu_exporter_tasks_last_success_timestamp_seconds",
)
LABELS = st.fixed_dictionaries(
    {"__name__": st.sampled_from(NAMES), "gpu_uuid": st.sampled_from([UUID, OTHER])},
    optional={
        "task_id": st.sampled_from(["t", "u"]) | TEXTS,
        "hostname": TEXTS,
        "gpu": TEXTS,
        "username": TEXTS,
        "gpu_id": TEXTS,
        "instance": st.sampled_from(["n1"]) | TEXTS,
    },
)
INSTANTS = st.sampled_from([START + 1800 * n for n in range(-1, 53)]) | st.floats(START - 4000, END + 8000)
VALUES = INSTANTS | st.floats() | NUMBERS
SERIES = st.tuples(LABELS, st.lists(st.tuples(INSTANTS, VALUES), min_size=1, max_size=6))
ANSWERS = st.fixed_dictionaries({}, optional={endpoint: st.lists(SERIES, max_size=8) for endpoint in ("query", "query_range", "series")})  # fmt: skip  # noqa: E501


class Hostile(PrometheusClient):
    """A server that answers every question alike."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(Prometheus())
        self._answers = answers

    async def _ask(  # one answer for all
        self, endpoint: str, _question: Question, _form: Mapping[str, str], decode: Callable[[Any], T]
    ) -> T:
        found = self._answers.get(endpoint, [])
        if endpoint == "series":
            return decode([labels for labels, _ in found])
        series = [
            {"metric": labels, "values": [[time, _number(value)] for time, value in some]} for labels, some in found
        ]
        try:
            return decode({"resultType": "matrix", "result": series})
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise HistoryError("not the API's") from error


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


WHO = {"gpu_uuid": UUID, "task_id": "t", "username": "amy", "instance": "n1"}


@example({
    "series": [({"__name__": "amdgpu_task_info", **WHO}, [])],
    "query": [({"__name__": "amdgpu_task_end_timestamp_seconds", **WHO}, [(END, 1e23)])],
    "query_range": [({"__name__": "amdgpu_task_start_timestamp_seconds", **WHO}, [(START + 1800, START)])],
})  # fmt: skip
@given(ANSWERS)
@reads_or_refuses(HistoryError)
def test_shown_tasks(answers: dict[str, Any]) -> None:
    async def ask() -> Any:
        names = GpuNames([UUID, OTHER])
        return await shown_tasks(Hostile(answers), names, [UUID, OTHER], START, END, is_over=True)

    found = asyncio.run(ask())
    for task in found.tasks:
        assert task.start < END
        assert task.end > START
        assert task.gpus
    for entry in found.untold:
        assert START <= entry.start < entry.end <= END
    assert 0 <= found.untold_seconds <= 2 * (END - START)
    as_json(held(found.tasks, START, END, ZoneInfo("Asia/Taipei")))
