"""What counters can have gained at most, and parts of a whole brought within it. Pure."""

from __future__ import annotations

import numpy as np

from exporter.report.observed import BUSY, IDLE, IDLE_VRAM_HELD, OBSERVED, VRAM, Floats

_TINY = 1e-9


def bounded(parts: Floats, seconds: Floats, vram_total_bytes: float | None) -> Floats:
    """Returns parts that are possible, one row each, and sum to the same where the whole is possible.

    What is too much for a part goes where there is room. Energy stays as it is: it goes on while nothing is observed.

    Args:
        parts: With the columns of `exporter.report.observed`.
        seconds: How long each lasts.
        vram_total_bytes: What the GPU has; None: not known, and so nothing limits it.
    """
    fitted = parts.copy()
    fitted[:, OBSERVED] = limited(parts[:, OBSERVED], seconds)
    observed = fitted[:, OBSERVED]
    for column in (BUSY, IDLE):
        fitted[:, column] = limited(parts[:, column], observed)
    fitted[:, IDLE_VRAM_HELD] = limited(parts[:, IDLE_VRAM_HELD], fitted[:, IDLE])
    if vram_total_bytes is not None:
        fitted[:, VRAM] = limited(parts[:, VRAM], observed * vram_total_bytes)
    return fitted


def limited(parts: Floats, limits: Floats) -> Floats:
    """Returns the same sum with no part above its limit: what is, goes where there is room."""
    kept = np.minimum(parts, limits)
    room = limits - kept
    moved: Floats = kept + room * ((parts - kept).sum() / max(room.sum(), _TINY))
    return moved
