from __future__ import annotations

from exporter.devices.protocol import LIBRARY, inspection
from exporter.devices.supervisor.quarantine import LONGEST_PAUSE, Quarantine

GPU = "0000:05:00"


def test_what_is_put_away_is_left_out_until_its_pause_is_over() -> None:
    quarantine = Quarantine(first=1.0)
    quarantine.put(GPU, "it hangs", now=10.0)

    assert quarantine.active(10.9) == {GPU: "it hangs"}
    assert quarantine.next_due(10.0) == 11.0
    assert quarantine.active(11.0) == {}
    assert quarantine.on_trial(11.0) == [GPU]


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    quarantine = Quarantine(first=1.0)
    now, pauses = 0.0, []
    for _ in range(12):
        quarantine.put(GPU, "it hangs", now)
        pauses.append(quarantine.next_due(now) - now)
        now += pauses[-1]

    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == LONGEST_PAUSE


def test_what_fails_soon_after_its_release_stays_away_twice_as_long() -> None:
    quarantine = Quarantine(first=1.0)
    quarantine.put(GPU, "it hangs", now=0.0)
    quarantine.release(GPU, now=1.0)
    assert quarantine.on_trial(1.0) == []
    quarantine.put(GPU, "again", now=100.0)

    assert quarantine.next_due(100.0) == 102.0


def test_what_fails_long_after_its_release_begins_anew() -> None:
    quarantine = Quarantine(first=1.0)
    quarantine.put(GPU, "it hangs", now=0.0)
    quarantine.release(GPU, now=1.0)
    quarantine.put(GPU, "again", now=1.0 + LONGEST_PAUSE + 1)

    assert quarantine.next_due(302.0) == 303.0


def test_a_node_without_a_library_tries_it_once_an_hour_in_the_end() -> None:
    quarantine = Quarantine(first=1.0)
    now = 0.0
    for _ in range(20):
        quarantine.put(LIBRARY, "missing", now)
        now = quarantine.next_due(now)
    quarantine.put(LIBRARY, "missing", now)

    assert quarantine.next_due(now) - now == 3600.0


def test_an_inspection_that_hangs_is_not_tried_again_at_once() -> None:
    quarantine = Quarantine(first=1.0)
    quarantine.put(inspection(GPU), "it hangs", now=0.0)

    assert quarantine.next_due(0.0) == 60.0
