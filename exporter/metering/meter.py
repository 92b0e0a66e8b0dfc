"""Readings of one GPU become its cumulative counters."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.model import Amounts, Reading

_PLAUSIBLE_WATTS = 2000.0
"""No socket draws more (an MI300X is rated 750 W): an accumulator that grew faster did not count energy."""


@dataclass(slots=True)
class Meter:
    """Integrates one GPU's readings by the trapezoid rule.

    Two readings are joined when both tell utilization and VRAM and lie at most `max_gap` seconds apart, or three times
    the period that a slow GPU keeps; otherwise nothing was observed between them. Energy and throttling come from the
    hardware's own accumulators and so span every gap.
    """

    idle_threshold: float
    vram_held: int
    max_gap: float
    counters: Amounts | None = None
    """None before the first reading."""
    throttled_seconds: dict[str, float] = field(default_factory=dict)
    """By reason."""
    _last: Reading | None = None
    _last_energy: Reading | None = None
    _first_energy_joules: float | None = None
    _last_throttle: Reading | None = None

    def observe(self, reading: Reading) -> Amounts:
        """Takes the next reading; one not younger than the last changes nothing.

        Returns:
            The counters as of this reading.
        """
        if self.counters is None:
            self.counters = Amounts()
        elif self._last is not None and reading.taken <= self._last.taken:
            return self.counters
        grown = self._joined(reading)._replace(energy_joules=self._energy(reading))
        self.counters = self.counters.plus(grown)
        self._throttle(reading)
        return self.counters

    def may_bridge(self, reading: Reading) -> bool:
        """Returns whether the next reading may yet be joined to one before this, which tells too little.

        If it is, what accrues lies on the line between those two, and what is shown as of this one is not on it.
        """
        return self._last is not None and reading.taken > self._last.taken and self._joins(self._last, reading)

    @property
    def energy_joules(self) -> float | None:
        """The hardware's counter, whose resets and glitches are mended; None until it told.

        It starts at the hardware's own value, so that the energy of a time in which no meter ran is in it.
        """
        if self.counters is None or self._first_energy_joules is None:
            return None
        return self._first_energy_joules + self.counters.energy_joules

    def _joined(self, reading: Reading) -> Amounts:
        if reading.utilization is None or reading.vram_used_bytes is None:
            return Amounts()
        last, self._last = self._last, reading
        if last is None or last.utilization is None or last.vram_used_bytes is None:
            return Amounts()
        seconds = reading.taken - last.taken
        if not self._joins(last, reading):
            return Amounts()
        idle_from, idle_to = _below(last.utilization, reading.utilization, self.idle_threshold)
        held_from, held_to = _below(-last.vram_used_bytes, -reading.vram_used_bytes, -self.vram_held)
        return Amounts(
            observed_seconds=seconds,
            busy_seconds=seconds * (last.utilization + reading.utilization) / 2,
            idle_seconds=seconds * (idle_to - idle_from),
            idle_vram_held_seconds=seconds * max(0.0, min(idle_to, held_to) - max(idle_from, held_from)),
            vram_used_byte_seconds=seconds * (last.vram_used_bytes + reading.vram_used_bytes) / 2,
        )

    def _joins(self, last: Reading, reading: Reading) -> bool:
        return reading.taken - last.taken <= max(self.max_gap, 3 * max(last.period, reading.period))

    def _energy(self, reading: Reading) -> float:
        """Joules since the last reading that told energy; a reset of the accumulator starts anew from 0."""
        if reading.energy_joules is None:
            return 0.0
        last, self._last_energy = self._last_energy, reading
        if last is None or last.energy_joules is None:
            self._first_energy_joules = reading.energy_joules
            return 0.0
        grown = reading.energy_joules - last.energy_joules
        if grown < 0:
            grown = reading.energy_joules
        # A slow read tells of an instant long before it was taken, and the next one has that energy to catch up.
        seconds = reading.taken - last.taken + self.max_gap
        return grown if grown <= _PLAUSIBLE_WATTS * seconds else 0.0

    def _throttle(self, reading: Reading) -> None:
        """Adds the seconds throttled: Δresidency ÷ Δaccumulation counter is the part of the time between."""
        if reading.throttle_ticks is None:
            return
        last = self._last_throttle
        if last is not None and last.throttle_ticks == reading.throttle_ticks:
            return  # the firmware has not counted since
        self._last_throttle = reading
        for reason, residency in reading.throttle_residency.items():
            self.throttled_seconds.setdefault(reason, 0.0)
            if last is None or last.throttle_ticks is None or reason not in last.throttle_residency:
                continue
            ticks = reading.throttle_ticks - last.throttle_ticks
            throttled = residency - last.throttle_residency[reason]
            if ticks > 0 and throttled >= 0:
                self.throttled_seconds[reason] += min(1.0, throttled / ticks) * (reading.taken - last.taken)


def _below(first: float, second: float, limit: float) -> tuple[float, float]:
    """Returns the part of [0, 1], as (from, to), in which the line from `first` to `second` lies below `limit`."""
    if first < limit:
        return (0.0, 1.0) if second < limit else (0.0, (limit - first) / (second - first))
    return ((first - limit) / (first - second), 1.0) if second < limit else (0.0, 0.0)
