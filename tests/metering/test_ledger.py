from __future__ import annotations

import pytest

from exporter.labels import MAX_SERIES, OTHER
from exporter.metering.ledger import LINGER_SECONDS, Ledger
from exporter.model import UNALLOCATED, UNKNOWN, Amounts, Hold, Owner, Ownership, Task

BIRTH = 90.0
ITRD = Owner("itrd", "LAB", Ownership.OWNED)


def hold(start: float, end: float, user: str = "itrd") -> Hold:
    return Hold(start, end, Task(user, user, "LAB", (), start, end))


def ledger(until: int) -> Ledger:
    """A ledger with a busy second per second from 0 to `until`."""
    subject = Ledger(opened=0.0, birth=BIRTH)
    for second in range(until + 1):
        subject.extend(float(second), Amounts(observed_seconds=second, busy_seconds=second))
    return subject


def served(subject: Ledger, now: float) -> dict[Owner, float]:
    return {owner: amounts.busy_seconds for owner, amounts in subject.accounts(now)}


def test_time_waits_until_its_owner_is_known() -> None:
    subject = ledger(100)
    subject.book(60.0, [], now=100.0)

    assert subject.unbooked_since() == 60.0
    assert served(subject, now=100.0)[UNALLOCATED] == 60.0


def test_booked_time_is_never_booked_again() -> None:
    subject = ledger(100)
    subject.book(60.0, [], now=100.0)
    subject.book(60.0, [hold(0, 100)], now=100.0)
    subject.book(30.0, [hold(0, 100)], now=100.0)

    assert served(subject, now=100.0) == {UNALLOCATED: 60.0, UNKNOWN: 0.0}


def test_booking_splits_at_the_instant_a_task_starts_within_a_reading_interval() -> None:
    subject = ledger(100)
    subject.book(80.0, [hold(10.25, 20.5)], now=100.0)

    assert served(subject, now=100.0 + BIRTH)[ITRD] == pytest.approx(10.25)


def test_nothing_is_booked_beyond_the_last_reading() -> None:
    subject = ledger(100)
    subject.book(500.0, [hold(0, 500)], now=500.0)

    assert served(subject, now=500.0 + BIRTH)[ITRD] == 100.0
    assert subject.unbooked_since() is None


def test_nobody_and_unknown_are_served_from_the_start() -> None:
    assert served(Ledger(opened=0.0, birth=BIRTH), now=0.0) == {UNALLOCATED: 0.0, UNKNOWN: 0.0}


def test_a_new_owner_is_served_at_zero_for_birth_before_it_grows() -> None:
    subject = ledger(100)
    subject.book(80.0, [hold(0, 100)], now=100.0)

    assert served(subject, now=100.0)[ITRD] == 0.0
    assert served(subject, now=100.0 + BIRTH - 1)[ITRD] == 0.0
    assert served(subject, now=100.0 + BIRTH)[ITRD] == 80.0


def test_an_owner_expected_beforehand_grows_as_soon_as_it_has_stood_still_long_enough() -> None:
    subject = ledger(200)
    subject.expect(ITRD, now=100.0)
    subject.book(190.0, [hold(100, 200)], now=195.0)

    assert served(subject, now=195.0)[ITRD] == 90.0


def test_an_owner_that_is_gone_keeps_its_series_for_an_hour() -> None:
    subject = ledger(100)
    subject.book(80.0, [hold(0, 100)], now=100.0)

    assert ITRD in served(subject, now=100.0 + LINGER_SECONDS - 1)
    assert ITRD not in served(subject, now=100.0 + LINGER_SECONDS)


def test_an_owner_that_returns_goes_on_from_where_it_was_flat_at_first() -> None:
    subject = ledger(100)
    subject.book(80.0, [hold(0, 100)], now=100.0)
    assert served(subject, now=300.0)[ITRD] == 80.0
    back = 100.0 + LINGER_SECONDS + 60
    for second in (back, back + 10):
        subject.extend(second, Amounts(observed_seconds=second, busy_seconds=100.0 + second - back))

    subject.book(back + 10, [hold(back, back + 10)], now=back + 20)

    assert served(subject, now=back + 20)[ITRD] == 80.0
    assert served(subject, now=back + 20 + BIRTH)[ITRD] == pytest.approx(90.0)


def test_seconds_of_a_series_that_was_dropped_stay_shown() -> None:
    subject = ledger(100)
    subject.book(100.0, [hold(0, 100)], now=100.0)

    assert subject.shown_seconds(now=100.0) == 0.0
    assert subject.shown_seconds(now=100.0 + BIRTH) == 100.0
    assert subject.shown_seconds(now=100.0 + 2 * LINGER_SECONDS) == 100.0


def test_a_ledger_without_readings_books_nothing() -> None:
    subject = Ledger(opened=0.0, birth=BIRTH)
    subject.book(100.0, None, now=100.0)

    assert subject.unbooked_since() is None
    assert dict(subject.accounts(now=100.0)) == {UNALLOCATED: Amounts(), UNKNOWN: Amounts()}


def test_settled_points_are_dropped_from_the_ring() -> None:
    subject = ledger(1000)
    subject.book(990.5, [], now=1000.0)

    assert len(subject._times) == len(subject._counters) == 11


def test_owners_beyond_the_bound_are_summed_as_others_and_nothing_is_lost() -> None:
    subject = ledger(100)
    subject.book(80.0, [hold(0, 100, f"user {number}") for number in range(1000)], now=100.0)
    accounts = served(subject, now=100.0 + BIRTH)

    assert len(accounts) == MAX_SERIES - 1  # nobody was here alone: only one `other`
    assert sum(accounts.values()) == pytest.approx(80.0)
    assert accounts[Owner(OTHER, "", Ownership.SHARED)] == pytest.approx(80.0 * (1000 - MAX_SERIES + 4) / 1000)


def test_whoever_comes_once_there_is_room_again_has_a_series_of_its_own() -> None:
    subject = ledger(100)
    subject.book(50.0, [hold(0, 100, f"user {number}") for number in range(MAX_SERIES)], now=100.0)
    later = 100.0 + LINGER_SECONDS

    assert subject.expect(ITRD, now=later - 1).username == OTHER
    assert subject.expect(ITRD, now=later) == ITRD


def test_of_owners_that_come_and_go_without_end_a_bounded_number_is_kept_and_all_their_seconds() -> None:
    subject, now = Ledger(opened=0.0, birth=0.0), 0.0
    subject.extend(0.0, Amounts())
    for number in range(2000):
        now += 20.0
        subject.extend(now, Amounts(observed_seconds=now))
        subject.book(now, [hold(0, 1e9, f"user {number}")], now=now)

    assert len(subject._accounts) < 1500
    assert subject.shown_seconds(now) == pytest.approx(now)


def test_what_was_booked_in_a_copy_is_adopted_beside_what_was_added_meanwhile() -> None:
    ledger = Ledger(0.0, birth=0.0)
    for second in range(11):
        ledger.extend(float(second), Amounts(observed_seconds=second))
    branch = ledger.copy()
    branch.book(8.0, (), 10.0)
    ledger.extend(11.0, Amounts(observed_seconds=11.0))
    assert ledger.unbooked_since() == 0.0
    assert ledger.adopt(branch)
    assert dict(ledger.accounts(11.0))[UNALLOCATED].observed_seconds == 8.0
    ledger.book(11.0, None, 11.0)
    assert dict(ledger.accounts(11.0))[UNKNOWN].observed_seconds == 3.0


def test_a_copy_of_what_was_booked_further_since_is_not_adopted() -> None:
    ledger = Ledger(0.0, birth=0.0)
    for second in range(11):
        ledger.extend(float(second), Amounts(observed_seconds=second))
    branch = ledger.copy()
    branch.book(10.0, (), 10.0)
    ledger.book(4.0, None, 10.0)
    assert not ledger.adopt(branch)
    accounts = dict(ledger.accounts(10.0))
    assert (accounts[UNKNOWN].observed_seconds, accounts[UNALLOCATED].observed_seconds) == (4.0, 0.0)
    assert ledger.unbooked_since() == 4.0
