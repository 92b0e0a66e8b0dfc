"""`exporter demo`: brings the cluster up, and tells what Prometheus and the report say of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import click

from exporter.demo.run import Demo, running, scraped
from exporter.report.make import Wanted, make
from exporter.report.output import WRITTEN, files
from exporter.report.window import window
from exporter.report.write import write
from exporter.table import table

WINDOW = "30s"
_LOOK_SECONDS = 40
"""How long a finite run is scraped before Prometheus is asked."""


async def demo(*, finite: bool) -> None:
    """Runs the demo until Ctrl-C, or once.

    Raises:
        ExporterError: Prometheus is not installed or does not start, or the report failed.
    """
    this = asyncio.current_task()
    assert this is not None
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await _demo(finite=finite)


async def _demo(*, finite: bool) -> None:
    async with running(_say) as cluster:
        _say("reporting yesterday")
        folder = await _report(cluster)
        click.echo(_addresses(cluster))
        if finite:
            _say(f"letting Prometheus scrape for {_LOOK_SECONDS} s")
            await scraped(cluster, _LOOK_SECONDS)
            click.echo(f"{await now(cluster)}\n\nYesterday's report: {folder}")
        else:
            click.echo(f"\nYesterday's report: {folder}\n\nCtrl-C ends it.")
            await asyncio.Event().wait()


async def _report(cluster: Demo) -> Path:
    settings, instant = cluster.settings, time.time()
    day = window(None, None, settings.report.timezone, instant)
    made = await make(settings, Wanted(day), instant, lambda _: None)
    content = files(made.report, made.timeline, day, settings.report.language, WRITTEN)
    (folder,) = write(settings.report.directory, content)
    return folder.resolve()


def _addresses(cluster: Demo) -> str:
    first, *others = cluster.pages
    return table(
        ("", ""),
        [
            ("Prometheus", cluster.prometheus),
            ("Nodes", first),
            *(("", page) for page in others),
            ("Metrics", f"{first}metrics"),
            ("Consumption API", f"{cluster.api} (a stand-in)"),
        ],
    )


def _say(words: str) -> None:
    click.echo(f"demo: {words}", err=True)


async def now(demo: Demo) -> str:
    """Tells who uses what now, who got how much of the last half minute, and that nothing is lost."""
    utilization = await demo.ask("amdgpu_utilization_ratio")
    vram = {labels["gpu_uuid"]: value for labels, value in await demo.ask("amdgpu_vram_used_bytes")}
    held = await demo.ask(_by_user("amdgpu_owner_seconds_total"))
    busy = {_user(labels): value for labels, value in await demo.ask(_by_user("amdgpu_owner_busy_seconds_total"))}
    observed = await demo.ask("sum(amdgpu_observed_seconds_total)")
    booked = await demo.ask("sum(amdgpu_owner_seconds_total) + sum(amdgpu_exporter_unbooked_seconds)")
    return "\n\n".join(
        (
            "Who uses what now: amdgpu_utilization_ratio, amdgpu_vram_used_bytes",
            table(
                ("NODE", "GPU", "OWNER", "TYPE", "", "UTILIZATION", "VRAM GiB"),
                [
                    (
                        labels["hostname"],
                        labels["gpu"],
                        labels.get("username", "–"),
                        labels.get("task_type", "–"),
                        labels["ownership"],
                        f"{value:11.0%}",
                        f"{vram[labels['gpu_uuid']] / 2**30:8.1f}",
                    )
                    for labels, value in sorted(utilization, key=lambda one: (one[0]["hostname"], int(one[0]["gpu"])))
                ],
            ),
            f"GPU-seconds of the last {WINDOW}: increase(amdgpu_owner_seconds_total[{WINDOW}])",
            table(
                ("USER", "TYPE", "HELD", "BUSY"),
                [
                    (*_user(labels), f"{value:6.1f}", f"{busy.get(_user(labels), 0.0):6.1f}")
                    for labels, value in sorted(held, key=lambda one: -one[1])
                ],
            ),
            f"Observed {observed[0][1]:.3f} GPU-seconds; owners and unbooked sum to {booked[0][1]:.3f}.",
        )
    )


def _by_user(metric: str) -> str:
    return f'sum by (username, task_type) (increase({metric}{{username!=""}}[{WINDOW}]))'


def _user(labels: dict[str, str]) -> tuple[str, str]:
    return labels.get("username", ""), labels.get("task_type", "")
