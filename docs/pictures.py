"""Takes the pictures of the node's page and of the portal, of made-up GPUs: `PYTHONPATH=. python docs/pictures.py`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from exporter.demo.remote_write import Column
from exporter.model import UNALLOCATED, Process, Snapshot
from tests.support.browser import Page, browser_page
from tests.support.endpoint import endpoint
from tests.support.engines import prometheus
from tests.support.live import BEGAN, HOUR, NOW, gpu
from tests.support.portal import portal, store
from tests.support.snapshots import GIB, node, owned, shared, state, used_by

IMAGES: Final = Path(__file__).parent / "images"
LANGUAGES: Final = {"en": "", "zh-TW": ".zh-TW"}
WIDTH: Final = 1280


async def main() -> None:
    """Takes them all."""
    async with browser_page() as page:
        await page.call("Emulation.setTimezoneOverride", timezoneId="Asia/Taipei")
        async with endpoint() as served:
            served.snapshot = _node()
            await _take(page, served.server.url, "page")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store(folder / "reports")
            async with (
                prometheus(folder / "engine", list(_cluster())) as url,
                portal(url, folder / "reports") as site,
            ):
                await _take(page, site.portal.web.url, "portal")


async def _take(page: Page, url: str, name: str) -> None:
    """Takes a page from top to bottom, in each language."""
    for language, suffix in LANGUAGES.items():
        await page.prefer(language)
        await page.show(WIDTH, 100, dark=False)
        await page.goto(url)
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.show(WIDTH, height, dark=False)
        await page.frame()
        (IMAGES / f"{name}{suffix}.png").write_bytes(await page.screenshot())


def _node() -> Snapshot:
    """One node, each GPU of which does something else."""

    def process(gib: float, command: str, container: str, user: str = "root") -> Process:
        return Process(4711, int(gib * GIB), command, container, user)

    return node(
        used_by(owned(0, "nycubme", 0.974, 168.3, "TRAIN"), process(167.9, "python3", "3f2a9c81d2e4")),
        used_by(owned(1, "nycubme", 0.966, 167.9, "TRAIN"), process(167.5, "python3", "3f2a9c81d2e4")),
        used_by(owned(2, "tku_csie", 0.004, 121.9), process(121.6, "jupyter-lab", "90ab12cd34ef")),
        used_by(
            shared(3, ["admin", "itrd"]),
            process(60.1, "vllm", "c7d8e9f0a1b2"),
            process(27.9, "python3", "5e6f7a8b9c0d"),
        ),
        used_by(owned(4, "easycard", 0.31, 96.2, "WEBAPP"), process(95.9, "vllm", "e1f2a3b4c5d6")),
        used_by(state(5, UNALLOCATED, 0.0, 0.3)),
        used_by(owned(6, "陳怡君", 0.89, 143.5, "BATCH"), process(143.2, "python3", "0a1b2c3d4e5f")),
        used_by(state(7, UNALLOCATED, 0.83, 64.0), process(63.7, "rocm_bandwidth", "", "guest")),
    )


def _cluster() -> Iterator[Column]:
    """Two nodes as Prometheus knows them."""
    types = {"nycubme": "TRAIN", "tku_csie": "LAB", "itrd": "LAB", "easycard": "WEBAPP", "陳怡君": "BATCH"}
    users = ("nycubme", "nycubme", "tku_csie", "itrd", "easycard", None, "陳怡君", None)
    for number, (index, user) in enumerate([*enumerate(users)] * 2):
        host, is_odd = f"colab-gpu{number // len(users) + 1}", number == 2 * len(users) - 1
        idles = user in {None, "tku_csie"} and not is_odd
        load, vram = (
            0.0 if idles else 0.35 + number * 0.37 % 0.64,
            0.002 if idles and not user else 0.2 + number * 0.29 % 0.75,
        )
        until = NOW if not idles else NOW - 3 * HOUR if user else BEGAN
        for column in gpu(index, hostname=host, user=user, held=(4 + number * 7 % 23) * HOUR, active_until=until):
            names = {"gpu_id": str(number), "task_type": types.get(user or "", "")}
            labels = dict(column.labels) | {label: name for label, name in names.items() if label in column.labels}
            yield _told(replace(column, labels=labels), load, vram)


def _told(column: Column, load: float, vram: float) -> Column:
    """A series with another load, or share of VRAM in use."""
    values = {
        "amdgpu_utilization_ratio": load,
        "amdgpu_vram_used_bytes": vram * 2**34,
        "amdgpu_power_watts": 138 + 590 * load,
    }
    value = values.get(column.labels["__name__"])
    return column if value is None else replace(column, values=column.values * 0 + value)


if __name__ == "__main__":
    asyncio.run(main())
