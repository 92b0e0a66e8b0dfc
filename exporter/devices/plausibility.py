"""What a reading cannot hold, wherever it comes from: left out, so that nothing is shown or integrated that was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from exporter.model import Reading

MOST_WATTS = 2000.0
"""No socket draws more: an MI300X is rated 750 W."""
HOTTEST_CELSIUS = 200.0
_MOST_VRAM_BYTES = 2**40
"""Of a GPU that does not tell its total; the largest has a quarter of it."""


def plausible(reading: Reading, vram_total_bytes: int | None) -> tuple[Reading, tuple[str, ...]]:
    """Returns the reading without what cannot be, and what that was, in words.

    Args:
        reading: of either source.
        vram_total_bytes: the GPU's; None where it is not known.
    """
    if not (faults := dict(_faults(reading, vram_total_bytes))):
        return reading, ()
    hot = {sensor for sensor in reading.temperatures_celsius if sensor in faults}
    absent = dict.fromkeys(faults.keys() - hot)
    cool = {sensor: celsius for sensor, celsius in reading.temperatures_celsius.items() if sensor not in hot}
    return replace(reading, temperatures_celsius=cool, **absent), tuple(faults.values())  # type: ignore[arg-type]


def _faults(reading: Reading, vram_total_bytes: int | None) -> Iterator[tuple[str, str]]:
    """By field, or sensor: what is wrong."""
    for field in ("utilization", "memory_controller_utilization"):
        if (ratio := getattr(reading, field)) is not None and not 0 <= ratio <= 1:
            yield field, f"{field.replace('_', ' ')} {ratio:.0%}"
    total = vram_total_bytes or _MOST_VRAM_BYTES
    if (used := reading.vram_used_bytes) is not None and not 0 <= used <= total:
        yield "vram_used_bytes", f"VRAM in use {used} of {total} bytes"
    if (watts := reading.power_watts) is not None and not 0 <= watts <= MOST_WATTS:
        yield "power_watts", f"power {watts:g} W"
    for sensor, celsius in reading.temperatures_celsius.items():
        if celsius > HOTTEST_CELSIUS:
            yield sensor, f"temperature {sensor} {celsius:g} °C"
