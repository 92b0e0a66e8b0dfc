"""Who held which GPU, as exporters showed it: for when nobody else can be asked about days that are over."""

from __future__ import annotations

from exporter import config
from exporter.errors import HistoryTasksError
from exporter.report.history import gpus
from exporter.report.history.client import PrometheusClient
from exporter.report.history.gpus import Inventory
from exporter.report.history.responses import Remark, Unsound
from exporter.report.history.shown_tasks import shown_tasks
from exporter.report.holders import Held
from exporter.report.window import Window


class ShownHolders:
    """Asks the scrape history which tasks exporters showed.

    Args:
        settings: Where the scrape history is.
    """

    def __init__(self, settings: config.Prometheus) -> None:
        self._settings = settings
        self._inventory: Inventory | None = None
        self.remarks: frozenset[Remark] = frozenset()
        """The server's, so far."""
        self.unsound: frozenset[tuple[str, Unsound]] = frozenset()
        """What was wrong with samples so far, by the name of the query."""

    async def held(self, window: Window) -> Held:
        """Returns who held what in a window; where no scrape tells, entries without an id.

        Raises:
            HistoryTasksError: The history tells of no tasks, or not when they ended.
            HistoryError: It has no answer.
        """
        async with PrometheusClient(self._settings) as client:
            self._inventory = await gpus.inventory(client, window, ())
            return await self._held(client, self._inventory, window.start, window.end, is_over=window.is_over)

    async def between(self, start: float, end: float) -> Held:
        """Returns who held what from one instant to another, near a window that was asked about; maybe nobody.

        Raises:
            HistoryError: The history has no answer.
        """
        if self._inventory is None:
            return Held((), (), "history")
        async with PrometheusClient(self._settings) as client:
            try:
                return await self._held(client, self._inventory, start, end, is_over=True)
            except HistoryTasksError:
                return Held((), (), "history")

    async def _held(
        self, client: PrometheusClient, known: Inventory, start: float, end: float, *, is_over: bool
    ) -> Held:
        uuids = known.known_as(known.identities)
        found = await shown_tasks(client, known.names, uuids, start, end, is_over=is_over)
        self.remarks |= set(client.remarks)
        self.unsound |= set(client.unsound)
        return Held(found.tasks, found.untold, "history")
