from __future__ import annotations

import os
from math import fsum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Ownership
from exporter.portal.days import COUNT, StoredDays, totals_by_user
from exporter.portal.views import Had
from exporter.report import days
from exporter.report.accounting.day_account import DayPart
from tests.support.periods import week_of_accounts
from tests.support.portal import TODAY, ZONE, ago, store

amounts = st.floats(0, 1e9, allow_nan=False)


@given(
    st.lists(
        st.builds(
            DayPart,
            *[st.sampled_from(["amy", "ben"])] * 4,
            st.sampled_from([Ownership.OWNED, Ownership.UNALLOCATED, Ownership.UNKNOWN]),
            *[st.none()] * 2,
            st.booleans(),
            *[amounts] * 9,
        )
    )
)
def test_users_have_what_was_owned_and_nothing_else(parts: list[DayPart]) -> None:
    totals = totals_by_user(tuple(parts))
    owned = [part for part in parts if part.is_owned]
    assert set(totals) == {part.username for part in owned}
    assert fsum(total.seconds for total in totals.values()) == pytest.approx(fsum(part.seconds for part in owned))
    had = Had.of(totals.values())
    if fsum(part.observed_seconds for part in owned):
        assert had.busy == pytest.approx(fsum(part.busy_seconds for part in owned) / 3600)
    elif had.owned:
        assert (had.busy, had.idle, had.efficiency) == (None, None, None)


async def test_days_are_told_the_latest_first_with_those_that_are_missing(tmp_path: Path) -> None:
    store(tmp_path, 2, 3)
    found = await StoredDays(tmp_path, ZONE).before(TODAY)
    assert [day.day for day in found] == [ago(n) for n in range(1, COUNT + 1)]
    assert [n for n, day in enumerate(found, 1) if day.totals is not None] == [2, 3]
    assert found[1].totals == {
        ("amy" if name == "itrd" else name): total
        for name, total in totals_by_user(week_of_accounts()[2].parts).items()
    }


async def test_a_day_is_read_again_only_when_its_file_has_changed(tmp_path: Path) -> None:
    store(tmp_path, 1, 2)
    stored = StoredDays(tmp_path, ZONE)
    first, second = (await stored.before(TODAY))[:2]
    store(tmp_path, 2, 2, {"itrd": "ben"})
    os.utime(tmp_path / str(ago(2)) / days.FILE, ns=(1, 1))
    again, changed = (await stored.before(TODAY))[:2]
    assert again.totals is first.totals
    assert second.totals != changed.totals
    assert "ben" in (changed.totals or {})


async def test_a_day_that_is_damaged_says_so_without_the_way_to_it(tmp_path: Path) -> None:
    store(tmp_path, 1, 1)
    file = tmp_path / str(ago(1)) / days.FILE
    file.write_bytes(file.read_bytes()[:100])
    day, *_ = await StoredDays(tmp_path, ZONE).before(TODAY)
    assert (day.totals, day.problem) == (None, f"{ago(1)}/day.jsonl.gz: truncated or damaged")
