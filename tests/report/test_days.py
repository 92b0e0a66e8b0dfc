from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import StoredDayError
from exporter.model import Ownership
from exporter.report import days
from exporter.report.accounting.day_account import DayAccount, DayPart
from exporter.report.accounting.rows import Sources
from tests.support.periods import month, week_of_accounts

TAIPEI = ZoneInfo("Asia/Taipei")
FIRST = month().first
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# Seconds, bytes × seconds, joules; nothing observed for less than a microsecond is kept.
amounts = st.just(0.0) | st.floats(1e-6, 1e18)


def keep(directory: Path, content: bytes) -> Path:
    file = directory / str(FIRST) / days.FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def parts() -> st.SearchStrategy[DayPart]:
    counts = st.none() | st.integers(0, 10**6)
    ownership = st.sampled_from([Ownership.OWNED, Ownership.UNALLOCATED, Ownership.UNKNOWN])
    figures = len(DayPart._fields) - 8
    return st.builds(DayPart, *[names] * 4, ownership, counts, counts, st.booleans(), *[amounts] * figures)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts(), max_size=6), st.booleans())
def test_what_is_stored_comes_back_to_the_last_bit(tmp_path: Path, some: list[DayPart], is_whole: bool) -> None:
    sources = Sources(history="prometheus", tasks="labels")
    account = DayAccount(FIRST, "Asia/Taipei", 86400.0, sources, is_whole, tuple(some))
    keep(tmp_path, days.dumped(account))

    assert days.stored(tmp_path, FIRST, TAIPEI) == account


def test_what_unpacks_to_more_than_a_day_comes_to_is_not_unpacked(tmp_path: Path) -> None:
    file = keep(tmp_path, gzip.compress(bytes(65 * 2**20)))
    with pytest.raises(StoredDayError, match="unpacks to more than 64 MiB"):
        days.loaded(file)


def test_the_same_day_is_the_same_bytes() -> None:
    account = week_of_accounts()[0]

    assert days.dumped(account) == days.dumped(account)


def test_a_truncated_file_is_not_usable_wherever_it_ends(tmp_path: Path) -> None:
    content = days.dumped(week_of_accounts()[0])
    for length in range(0, len(content), 97):
        file = keep(tmp_path, content[:length])
        with pytest.raises(StoredDayError, match=r"day\.jsonl\.gz"):
            days.loaded(file)


def test_an_edited_file_is_not_usable(tmp_path: Path) -> None:
    text = gzip.decompress(days.dumped(week_of_accounts()[0]))
    for edited in (
        text.replace(b"itrd", b"amy", 1),
        text.replace(b'"is_whole":true', b'"is_whole":false'),
        text + b"\n",
        b"\n".join(text.split(b"\n")[1:]),
        b"",
        b"[]\n",
        b"\xff\n",
    ):
        assert edited != text
        file = keep(tmp_path, gzip.compress(edited))
        with pytest.raises(StoredDayError, match="not as it was written"):
            days.loaded(file)


def test_a_file_of_another_version_says_so(tmp_path: Path) -> None:
    body = gzip.decompress(days.dumped(week_of_accounts()[0])).replace(b'"version":1', b'"version":2')
    body = body[: -len(hashlib.sha256().hexdigest()) - 1]
    file = keep(tmp_path, gzip.compress(body + hashlib.sha256(body).hexdigest().encode() + b"\n"))

    with pytest.raises(StoredDayError, match="of version 2, not 1"):
        days.loaded(file)


def test_a_day_of_another_date_or_time_zone_is_not_usable(tmp_path: Path) -> None:
    account = week_of_accounts()[0]
    keep(tmp_path, days.dumped(account))
    with pytest.raises(StoredDayError, match="of 2025-07-01 in Asia/Taipei, not of 2025-07-01 in UTC"):
        days.stored(tmp_path, FIRST, ZoneInfo("UTC"))

    keep(tmp_path, days.dumped(replace(account, day=month().last)))
    with pytest.raises(StoredDayError, match="of 2025-07-31 in Asia/Taipei, not of 2025-07-01"):
        days.stored(tmp_path, FIRST, TAIPEI)


def test_a_day_that_is_not_stored_is_no_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        days.stored(tmp_path, FIRST, TAIPEI)


def test_the_head_tells_the_shares_of_the_day_and_never_fails(tmp_path: Path) -> None:
    content = days.dumped(week_of_accounts()[0])
    head = days.read_head(keep(tmp_path, content))

    assert head is not None
    assert head.shares.capacity_gpu_hours == 8 * 24
    assert 0 < head.shares.owned_gpu_hours < 8 * 24
    assert days.read_head(keep(tmp_path, content[:40])) is None
    assert days.read_head(tmp_path / "nothing") is None


def test_a_thousand_gpus_take_less_than_three_megabytes() -> None:
    """Each of 1,024 GPUs has four users of its own names, types and projects: many more rows than tasks make."""
    (account, *_) = week_of_accounts()
    rows = [part for part in account.parts if part.is_owned]
    many = [
        rows[n % len(rows)]._replace(
            username=f"user-{hashlib.md5(bytes([n % 251])).hexdigest()}",
            project_uuid=hashlib.md5(f"{n}".encode()).hexdigest(),
            hostname=f"node{n // 32}",
            seconds=rows[n % len(rows)].seconds / (n + 1),
            busy_seconds=rows[n % len(rows)].busy_seconds / (n + 1),
        )
        for n in range(4 * 1024)
    ]

    assert len(days.dumped(replace(account, parts=tuple(many)))) < 3e6
