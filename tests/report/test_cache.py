from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.model import MalformedTask, Task, TaskGpu
from exporter.report.cache import SETTLED_SECONDS, DayOfTasks, TaskCache
from exporter.report.window import Window, window

DAY = window("2026-03-03", None, "Asia/Taipei", datetime(2026, 4, 1, tzinfo=UTC).timestamp())
LATER = DAY.end + SETTLED_SECONDS
TASKS: DayOfTasks = (
    (
        Task("t1", "=cmd()", "LAB", (TaskGpu("52f67b3700dcc6f3", "27", "MI300X", 196592),), 1.5),
        Task("t2", "陳怡君", "", (), 1.0, 2.0, "colab-gpu1", "p", "i"),
    ),
    (MalformedTask("x", "no start", ("52f67b3700dcc6f3",)),),
)


@pytest.fixture
def cache(tmp_path: Path) -> TaskCache:
    return TaskCache(tmp_path / "cache", "http://api", "UTC")


def test_what_is_kept_comes_back_as_it_was(cache: TaskCache) -> None:
    cache.keep(DAY, TASKS, LATER)

    assert cache.get(DAY) == TASKS


def test_a_day_is_kept_only_a_day_or_more_after_it_ended(cache: TaskCache) -> None:
    cache.keep(DAY, TASKS, LATER - 1)

    assert cache.get(DAY) is None


def test_a_day_that_is_not_over_is_never_kept(cache: TaskCache) -> None:
    cut = Window(DAY.first, DAY.last, DAY.zone, DAY.start, DAY.end - 60, is_over=False)
    cache.keep(cut, TASKS, LATER)

    assert cache.get(cut) is None


def test_servers_days_and_zones_are_kept_apart(cache: TaskCache, tmp_path: Path) -> None:
    cache.keep(DAY, TASKS, LATER)
    utc = window("2026-03-03", None, "UTC", LATER + 86400)

    assert cache.get(utc) is None
    assert cache.get(window("2026-03-02", None, "Asia/Taipei", LATER)) is None
    assert TaskCache(tmp_path / "cache", "http://other", "UTC").get(DAY) is None
    assert TaskCache(tmp_path / "cache", "http://api", "Asia/Taipei").get(DAY) is None


def test_only_its_user_may_read_it(cache: TaskCache, tmp_path: Path) -> None:
    cache.keep(DAY, TASKS, LATER)
    (file,) = (tmp_path / "cache").iterdir()

    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'[[{"task_id": 3}], []]', b"\xff"])
def test_a_file_that_is_not_usable_is_fetched_anew(
    cache: TaskCache, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache.keep(DAY, TASKS, LATER)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(content)

    assert cache.get(DAY) is None
    assert "asking the API instead" in caplog.text


def test_a_directory_that_cannot_be_written_costs_the_cache_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    TaskCache(tmp_path / "file", "http://api", "UTC").keep(DAY, TASKS, LATER)

    assert "cannot be kept" in caplog.text
