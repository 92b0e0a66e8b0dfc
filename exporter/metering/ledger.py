"""The ledger of one GPU: what its counters gained is booked to owners, exactly and once.

All instants are CLOCK_MONOTONIC seconds, task intervals included: the caller places them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exporter.labels import MAX_SERIES, OTHER
from exporter.metering.shares import shares
from exporter.model import UNALLOCATED, UNKNOWN, Amounts, Hold, Owner

LINGER_SECONDS = 3600.0
"""How long the series of an owner that is gone is still served."""
_MOST_OWNERS = MAX_SERIES - 4
"""With series of their own: nobody, the unknown, and `other` twice, have theirs beside."""
_MOST_GONE = 4 * MAX_SERIES
"""Accounts that are kept for owners to return to."""


@dataclass(slots=True)
class _Account:
    booked: Amounts
    served: Amounts
    """Trails `booked` while the series has to stay flat."""
    flat_until: float
    last_held: float

    def copy(self) -> _Account:
        """Returns one like it, in a tenth of the time that copy.copy takes."""
        return _Account(self.booked, self.served, self.flat_until, self.last_held)


@dataclass(slots=True)
class Ledger:
    """Holds a GPU's counters until their owner is known, then books them.

    A ring of (instant, counters) waits for its owners; whatever lies before the booked mark is
    settled for ever.
    """

    opened: float
    """When the series of nobody and of unknown owners were first served."""
    birth: float
    """Seconds for which a series is served flat before it grows."""
    _times: list[float] = field(default_factory=list)
    _counters: list[Amounts] = field(default_factory=list)
    _booked_until: float = 0.0
    _accounts: dict[Owner, _Account] = field(default_factory=dict)
    _room: int = _MOST_OWNERS
    """Owners that can still be given series."""
    _room_as_of: float = -math.inf
    _forgotten_seconds: float = 0.0
    """Observed, and served, of owners whose accounts are no longer kept."""
    _shown: tuple[tuple[Owner, Amounts], ...] = ()
    _branched_at: float = math.nan
    """Of a copy: how far the original was booked then."""

    def __post_init__(self) -> None:
        """Serves those two from the start, so that they are never born late."""
        self.expect(UNALLOCATED, self.opened)
        self.expect(UNKNOWN, self.opened)

    def extend(self, taken: float, counters: Amounts) -> None:
        """Adds what the counters were at an instant later than the last."""
        if not self._times:
            self._booked_until = taken
        elif taken <= self._times[-1]:
            return
        self._times.append(taken)
        self._counters.append(counters)

    def unbooked_since(self) -> float | None:
        """Returns the oldest instant that waits for its owner; None if nothing waits."""
        return self._booked_until if self._times and self._booked_until < self._times[-1] else None

    def expect(self, owner: Owner, now: float) -> Owner:
        """Serves an owner's series, so that it has stood still for `birth` when it grows.

        One that is back after its series was dropped goes on from where it was, flat again at first.

        Returns:
            The owner, or, where as many as there may be have series already, the one that stands for all others.
        """
        account = self._accounts.get(owner)
        if account is None or not self._is_served(owner, account, now):
            if not self._admit(owner, now):
                return self.expect(Owner(OTHER, "", owner.ownership), now)
            if account is None:
                account = self._accounts[owner] = _Account(Amounts(), Amounts(), now, now)
            account.flat_until = now + self.birth
        account.last_held = now
        return owner

    def book(self, until: float, holds: Sequence[Hold] | None, now: float) -> None:
        """Books what waits before `until` to the tasks that held it; None: to nobody knows whom."""
        if not self._times:
            return
        until = min(until, self._times[-1])
        if until <= self._booked_until:
            return
        for share in shares(self._at, holds, self._booked_until, until):
            account = self._accounts[self.expect(share.owner, now)]
            account.booked = account.booked.plus(share.amounts)
        self._booked_until = until
        settled = bisect_right(self._times, until) - 1
        del self._times[:settled], self._counters[:settled]

    def copy(self) -> Ledger:
        """Returns one that can be booked apart from this, which goes on growing, and then be adopted."""
        return replace(
            self,
            _times=self._times.copy(),
            _counters=self._counters.copy(),
            _accounts={owner: account.copy() for owner, account in self._accounts.items()},
            _branched_at=self._booked_until,
        )

    def adopt(self, branch: Ledger) -> bool:
        """Takes all that was booked in a copy of this, beside what was added here since.

        Returns:
            False, and nothing was taken, if this was booked further since: nothing is booked twice.
        """
        if self._booked_until != branch._branched_at:
            return False
        since = bisect_right(self._times, branch._times[-1]) if branch._times else 0
        times, counters = self._times[since:], self._counters[since:]
        for name in self.__slots__:
            setattr(self, name, getattr(branch, name))
        self._times += times
        self._counters += counters
        return True

    def accounts(self, now: float) -> tuple[tuple[Owner, Amounts], ...]:
        """Returns what is served as booked, by owner; the very object of last time while nothing of it changes."""
        shown = tuple(
            (owner, self._up_to_date(account, now))
            for owner, account in self._accounts.items()
            if self._is_served(owner, account, now)
        )
        same = (
            one is owner and two is amounts for (one, two), (owner, amounts) in zip(self._shown, shown, strict=False)
        )
        if len(shown) != len(self._shown) or not all(same):
            self._shown = shown
        return self._shown

    def shown_seconds(self, now: float) -> float:
        """Returns the observed seconds that are, or were until their series was dropped, served as some owner's."""
        kept = sum(self._up_to_date(account, now).observed_seconds for account in self._accounts.values())
        return kept + self._forgotten_seconds

    def _admit(self, owner: Owner, now: float) -> bool:
        """Returns whether there is room for one more owner's series, and takes it."""
        if owner.username in ("", OTHER):
            return True
        if now != self._room_as_of:
            self._room_as_of = now
            gone = [other for other, account in self._accounts.items() if not self._is_served(other, account, now)]
            self._room = _MOST_OWNERS - sum(other.username not in ("", OTHER) for other in self._accounts) + len(gone)
            self._forget(gone, now)
        self._room -= 1
        return self._room >= 0

    def _forget(self, gone: list[Owner], now: float) -> None:
        """Drops the accounts of owners that have been gone for longest."""
        gone.sort(key=lambda owner: self._accounts[owner].last_held)
        for owner in gone[: max(0, len(gone) - _MOST_GONE)]:
            self._forgotten_seconds += self._up_to_date(self._accounts.pop(owner), now).observed_seconds

    def _up_to_date(self, account: _Account, now: float) -> Amounts:
        if now >= account.flat_until:
            account.served = account.booked
        return account.served

    def _is_served(self, owner: Owner, account: _Account, now: float) -> bool:
        return owner in (UNALLOCATED, UNKNOWN) or now - account.last_held < LINGER_SECONDS

    def _at(self, instant: float) -> Amounts:
        """Returns the counters at an instant within the ring, on the line between the points around it."""
        right = bisect_left(self._times, instant)
        if self._times[right] == instant:
            return self._counters[right]
        before, after = self._counters[right - 1], self._counters[right]
        part = (instant - self._times[right - 1]) / (self._times[right] - self._times[right - 1])
        return before.toward(after, part)
