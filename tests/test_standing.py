from __future__ import annotations

import pytest

from exporter.model import Ownership
from exporter.standing import IDLE_AFTER_SECONDS, Standing, left_idle, standing


@pytest.mark.parametrize(
    ("ownership", "utilization", "idle", "where"),
    [
        (Ownership.OWNED, 0.9, 0.0, Standing.IN_USE),
        (Ownership.OWNED, 0.0, IDLE_AFTER_SECONDS - 1, Standing.IN_USE),
        (Ownership.SHARED, 0.0, IDLE_AFTER_SECONDS, Standing.HELD_IDLE),
        (Ownership.OWNED, None, None, Standing.IN_USE),
        (Ownership.UNALLOCATED, 0.9, 0.0, Standing.UNCLAIMED),
        (Ownership.UNALLOCATED, 0.0, 0.0, Standing.FREE),
        (Ownership.UNALLOCATED, 0.9, 300.0, Standing.FREE),
        (Ownership.UNALLOCATED, None, 0.0, Standing.FREE),
        (Ownership.UNKNOWN, 0.0, 300.0, Standing.UNKNOWN),
    ],
)
def test_where_a_gpu_stands_follows_from_whose_it_is_and_for_how_long_it_is_idle(
    ownership: Ownership, utilization: float | None, idle: float | None, where: Standing
) -> None:
    assert standing(ownership, utilization=utilization, idle_seconds=idle) is where
    unread = standing(ownership, utilization=utilization, idle_seconds=idle, is_readable=False)
    assert unread is Standing.UNREADABLE


@pytest.mark.parametrize(
    ("idle", "held", "left"),
    [(5000.0, 900.0, 900.0), (300.0, 900.0, 300.0), (300.0, -2.0, 0.0), (300.0, None, 300.0), (None, 900.0, None)],
)
def test_nobody_leaves_a_gpu_idle_for_longer_than_they_hold_it(
    idle: float | None, held: float | None, left: float | None
) -> None:
    assert left_idle(idle, held) == left
