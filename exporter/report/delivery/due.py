"""Who is to get a report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from exporter.config import Delivery

Kind = Literal["day", "week", "month"]
_KINDS: Final[dict[str, Kind]] = {"daily": "day", "on-fault": "day", "weekly": "week", "monthly": "month"}


def wants(target: Delivery, kind: Kind) -> bool:
    """Returns whether a target may be sent a report of this kind: one `on-fault` is, if it turns out to have faults."""
    return _KINDS[target.when] == kind


def due(targets: Sequence[Delivery], kind: Kind, *, is_faulty: bool) -> list[tuple[int, Delivery]]:
    """Returns who is to get a report, with their places in `report.deliver`.

    Args:
        targets: All of `report.deliver`.
        kind: What the report is of.
        is_faulty: Whether something is wrong with it: warnings, or faults of nodes.
    """
    return [
        (place, target)
        for place, target in enumerate(targets)
        if wants(target, kind) and (is_faulty or target.when != "on-fault")
    ]
