"""What the pages show, and the JSON beside them, of what is known of the cluster and of a user. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.live.ask import Used
from exporter.live.cluster import Cluster, GpuNow
from exporter.live.document import (
    ClusterDocument,
    GpuDocument,
    UsedDocument,
    document,
    gpu_document,
    moment,
    used_document,
)
from exporter.portal.days import StoredDay
from exporter.report.accounting.row import Row
from exporter.report.accounting.usage import HOUR, Total, ratio
from exporter.standing import Standing


class GpusAnswer(ClusterDocument):
    """What /api/v1/gpus answers."""

    problem: str | None
    """Why it is not of now, in English; null if it is."""


class DayDocument(Row):
    """What a user had on one day, in GPU-hours; null if the day is not stored, or nothing of it was observed."""

    date: str
    owned_gpu_hours: float | None
    owned_busy_gpu_hours: float | None
    idle_gpu_hours: float | None
    """While owned."""
    efficiency_ratio: float | None
    """Busy while owned ÷ owned time observed."""


class UserAnswer(Row):
    """What /api/v1/users/NAME answers. Times are ISO 8601 with the offset of `report.timezone`."""

    username: str
    time: str | None
    """Of `gpus`; null if they are not known."""
    problem: str | None
    """Why it is not of now, in English; null if it is."""
    gpus: list[GpuDocument] | None
    """Held now; null if Prometheus has not answered."""
    today: UsedDocument | None
    """Since midnight; null if Prometheus has not answered."""
    days: list[DayDocument]
    """The last 30, the latest first, without today."""


class Had(NamedTuple):
    """What a user had of GPUs, in GPU-hours; None where nothing was observed."""

    owned: float
    busy: float | None
    idle: float | None
    efficiency: float | None
    """0 to 1."""

    @classmethod
    def of(cls, totals: Iterable[Total]) -> Had:
        """Returns the sum of some days."""
        found = list(totals)
        owned = fsum(total.seconds for total in found)
        observed, busy, idle = (
            fsum(getattr(total.amounts, f"{name}_seconds") for total in found) for name in ("observed", "busy", "idle")
        )
        is_seen = observed > 0 or not owned
        return cls(
            owned / HOUR, busy / HOUR if is_seen else None, idle / HOUR if is_seen else None, ratio(busy, observed)
        )


@dataclass(frozen=True, slots=True)
class User:
    """All that is known of a user."""

    username: str
    cluster: Cluster | None
    """None if Prometheus has not answered."""
    today: Used | None
    """None if there is nothing, or no answer."""
    has_today: bool
    """Whether Prometheus has answered what there is."""
    days: Sequence[StoredDay]
    """The latest first."""

    @property
    def gpus(self) -> tuple[GpuNow, ...]:
        """Those held now."""
        return tuple(gpu for gpu in self.cluster.gpus if self.username in gpu.usernames) if self.cluster else ()

    @property
    def idle(self) -> tuple[GpuNow, ...]:
        """Those held and left idle."""
        return tuple(gpu for gpu in self.gpus if gpu.standing is Standing.HELD_IDLE)

    @property
    def is_known(self) -> bool:
        """Whether there is anything of this name."""
        return bool(self.gpus) or self.today is not None or self.total.owned > 0

    @property
    def is_told(self) -> bool:
        """Whether Prometheus has answered all there is to ask."""
        return self.cluster is not None and self.has_today

    @property
    def had(self) -> list[tuple[StoredDay, Had | None]]:
        """What they had on each day; None if it is not usable."""
        return [(day, None if day.totals is None else Had.of(self._of([day]))) for day in self.days]

    @property
    def total(self) -> Had:
        """What they had on all days that are stored."""
        return Had.of(self._of(self.days))

    def _of(self, days: Iterable[StoredDay]) -> Iterator[Total]:
        return (day.totals[self.username] for day in days if day.totals and self.username in day.totals)


def sections(gpus: Iterable[GpuNow]) -> list[tuple[Standing, list[GpuNow]]]:
    """Returns the GPUs by where they stand, free ones first, without those that nothing stands for."""
    by_standing: dict[Standing, list[GpuNow]] = {kind: [] for kind in Standing}
    for gpu in gpus:
        by_standing[gpu.standing].append(gpu)
    return [(kind, found) for kind, found in by_standing.items() if found]


def users(cluster: Cluster | None, days: Sequence[StoredDay]) -> list[tuple[str, int, int, float]]:
    """Returns everybody: their name, the GPUs they hold and leave idle, and their GPU-hours of the days."""
    held: Counter[str] = Counter()
    idle: Counter[str] = Counter()
    hours: defaultdict[str, float] = defaultdict(float)
    for gpu in cluster.gpus if cluster else ():
        held.update(gpu.usernames)
        if gpu.standing is Standing.HELD_IDLE:
            idle.update(gpu.usernames)
    for day in days:
        for username, total in (day.totals or {}).items():
            hours[username] += total.seconds / HOUR
    names = sorted(held.keys() | hours.keys(), key=lambda name: (-held[name], -hours[name], name))
    return [(name, held[name], idle[name], hours[name]) for name in names]


def gpus_answer(cluster: Cluster, problem: str | None, zone: ZoneInfo) -> GpusAnswer:
    """Returns the JSON of all GPUs."""
    return GpusAnswer(**dict(document(cluster, zone)), problem=problem)


def user_answer(user: User, problem: str | None, zone: ZoneInfo) -> UserAnswer:
    """Returns the JSON of a user."""
    cluster = user.cluster
    return UserAnswer(
        username=user.username,
        time=moment(cluster.time, zone) if cluster else None,
        problem=problem,
        gpus=[gpu_document(gpu, zone) for gpu in user.gpus] if cluster else None,
        today=used_document(user.today) if user.has_today else None,
        days=[
            DayDocument(
                date=str(day.day),
                owned_gpu_hours=had and had.owned,
                owned_busy_gpu_hours=had and had.busy,
                idle_gpu_hours=had and had.idle,
                efficiency_ratio=had and had.efficiency,
            )
            for day, had in user.had
        ],
    )
