"""Delivers a report to all who are to get it and do not have it yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from exporter.config import Delivery
from exporter.errors import DeliveryError
from exporter.report.delivery import marks as kept
from exporter.report.delivery.due import Kind, due
from exporter.report.delivery.marks import Mark, Marks
from exporter.report.delivery.message import Message
from exporter.report.delivery.send import PATIENCE, HalfSentError, send
from exporter.report.delivery.target import url

_log = logging.getLogger(__name__)


def deliver(
    targets: Sequence[Delivery],
    directory: Path,
    name: str,
    kind: Kind,
    worded: Callable[[Delivery], Message],
    *,
    is_faulty: bool,
    patience: float = PATIENCE,
) -> list[str]:
    """Sends a report that is written to those of `report.deliver` that do not have it.

    Args:
        targets: All of `report.deliver`.
        directory: Where the report's folder is.
        name: Of that folder.
        kind: What the report is of.
        worded: Makes what a target gets.
        is_faulty: Whether something is wrong with the report: for targets that get it only then.
        patience: Seconds for each target.

    Returns:
        What did not arrive, a sentence each, without secrets; it is tried again by the next run, unless it says
        otherwise.
    """
    wanted = due(targets, kind, is_faulty=is_faulty)
    if not wanted:
        return []
    try:
        with kept.delivering(directory):
            marks = kept.read(directory, name) or Marks(directory, name)
            return list(_failures(wanted, marks, worded, patience))
    except DeliveryError as error:
        return [f"{name} was not delivered: {error}"]


def _failures(
    wanted: Sequence[tuple[int, Delivery]], marks: Marks, worded: Callable[[Delivery], Message], patience: float
) -> Iterator[str]:
    for place, target in wanted:
        try:
            if _sent(target, marks, worded, patience):
                _log.info("%s was delivered to report.deliver[%d]", marks.name, place)
        except DeliveryError as error:
            yield f"report.deliver[{place}]: {marks.name} was not delivered: {error}"


def _sent(target: Delivery, marks: Marks, worded: Callable[[Delivery], Message], patience: float) -> bool:
    """Sends to a target, and returns whether there was anything to send.

    Raises:
        DeliveryError: It did not arrive, or nobody knows.
    """
    key = marks.key(target)
    before = marks.targets.get(key, Mark.OPEN)
    if before is Mark.SETTLED:
        return False
    if before is Mark.TRYING:
        marks.set(key, Mark.SETTLED)
        raise DeliveryError(
            "a run ended while it sent, so it may have arrived; it is not sent again. It is in the folder of reports"
        )
    message = worded(target)
    marks.set(key, Mark.TRYING)
    try:
        send(url(target), message, patience)
    except HalfSentError as error:
        marks.set(key, Mark.SETTLED)
        raise DeliveryError(f"{error}; it is not sent again") from error
    except DeliveryError:
        marks.set(key, Mark.OPEN)
        raise
    marks.set(key, Mark.SETTLED)
    return True
