from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter import config
from exporter.errors import TasksAuthError, TasksNetworkError, TasksPayloadError
from exporter.model import Scope
from exporter.tasks.bookings.source import BookingSource
from exporter.tasks.source import task_source
from tests.tasks.bookings.test_parse import HOSTS, A, at

START = at("2026-11-26 00:00")
END = at("2026-11-27 00:00")


def booked(folder: Path, *bookings: str) -> Path:
    path = folder / "bookings.yaml"
    path.write_text(HOSTS + "".join(f"  - {booking}\n" for booking in bookings))
    return path


@pytest.fixture
def source(tmp_path: Path) -> BookingSource:
    path = booked(
        tmp_path,
        "{user: amy, gpus: [gpu1/0], from: 2026-11-26 09:00Z, to: 2026-11-26 10:00Z}",
        "{user: bob, hosts: [gpu2], from: 2026-11-26 09:00Z}",
        "{user: amy, gpus: [gpu1/0], from: 2026-11-28 09:00Z}",
        "{user: amy, gpus: [gpu1/9], from: 2026-11-26 09:00Z}",
    )
    found = task_source(config.Tasks(source="file", file=path))
    assert isinstance(found, BookingSource)
    return found


async def test_it_tells_of_a_window_as_of_now_and_of_days_that_are_over(source: BookingSource) -> None:
    answer = await source.tasks(START, END)
    assert [(task.username, task.hostname) for task in answer.tasks] == [("amy", "gpu1"), ("bob", "gpu2")]
    assert (answer.since, answer.until, answer.about, len(answer.malformed)) == (START, END, None, 1)
    assert source.has_past


async def test_it_tells_a_node_and_a_user_what_concerns_them(source: BookingSource) -> None:
    node = Scope("gpu1", frozenset({A}))
    assert [task.username for task in (await source.tasks(START, END, scope=node)).tasks] == ["amy"]
    assert [task.username for task in (await source.tasks(START, END, username="bob")).tasks] == ["bob"]


async def test_a_change_is_seen_at_the_next_question(source: BookingSource, tmp_path: Path) -> None:
    await source.tasks(START, END)
    booked(tmp_path, "{user: cleo, hosts: [gpu1], from: 2026-11-26}")
    assert [task.username for task in (await source.tasks(START, END)).tasks] == ["cleo"]


async def test_a_file_that_became_unreadable_is_an_error_each_time_until_it_is_mended(
    source: BookingSource, tmp_path: Path
) -> None:
    path = tmp_path / "bookings.yaml"
    good = path.read_text()
    for _ in range(2):
        path.write_text("bookings: [")
        with pytest.raises(TasksPayloadError, match=r"bookings in .*bookings.yaml: expected YAML"):
            await source.tasks(START, END)
    path.write_bytes(b"\xff")
    with pytest.raises(TasksPayloadError, match="expected UTF-8 text, found byte 0xff"):
        await source.tasks(START, END)
    path.write_bytes(b" " * (4 * 2**20 + 1))
    with pytest.raises(TasksPayloadError, match="larger than 4 MiB"):
        await source.tasks(START, END)
    path.write_text(good)
    assert len((await source.tasks(START, END)).tasks) == 2


async def test_a_file_that_is_not_there_or_may_not_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(TasksNetworkError, match="cannot be read: No such file"):
        await BookingSource(tmp_path / "none.yaml", "UTC").tasks(START, END)
    with pytest.raises(TasksNetworkError, match="cannot be read: Is a directory"):
        await BookingSource(tmp_path, "UTC").tasks(START, END)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_file_of_others_is_said_to_be_one(source: BookingSource, tmp_path: Path) -> None:
    (tmp_path / "bookings.yaml").chmod(0o600)
    os.seteuid(65534)
    try:
        with pytest.raises(TasksAuthError, match="may not be read by the user of this service"):
            await source.tasks(START, END)
    finally:
        os.seteuid(0)
