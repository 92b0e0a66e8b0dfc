"""`exporter demo`: brings the cluster up, and tells what Prometheus and the report say of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import click

from exporter.demo.run import Demo, running, scraped
from exporter.report.answers import Wanted
from exporter.report.make import make
from exporter.report.output import WRITTEN, files
from exporter.report.window import window
from exporter.report.write import write
from exporter.speech import ABSENT, N_, Speech, speech
from exporter.table import table

WINDOW_SECONDS = 30
_LOOK_SECONDS = 40
"""How long a finite run is scraped before Prometheus is asked."""
_DIGITS = 9
_OWNERSHIPS = {
    "owned": N_("owned"),
    "shared": N_("shared"),
    "unallocated": N_("unallocated"),
    "unknown": N_("unknown"),
}


async def demo(language: str, *, finite: bool) -> None:
    """Runs the demo until Ctrl-C, or once.

    Args:
        language: Of what it prints and reports.
        finite: Whether it ends by itself.

    Raises:
        ExporterError: Prometheus is not installed or does not start, or the report failed.
    """
    this = asyncio.current_task()
    assert this is not None
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await _demo(language, finite=finite)


async def _demo(language: str, *, finite: bool) -> None:
    words = speech(language)
    _ = words.gettext
    async with running(language, _say) as cluster:
        _say("reporting yesterday")
        folder = await _report(cluster)
        where = "  ".join((_("Yesterday's report"), str(folder)))
        click.echo(_addresses(cluster, words) + "\n")
        if finite:
            _say(f"letting Prometheus scrape for {_LOOK_SECONDS} s")
            await scraped(cluster, _LOOK_SECONDS)
            click.echo(f"{await now(cluster, words)}\n\n{where}")
        else:
            click.echo("\n\n".join((where, _("Ctrl-C ends it."))))
            await asyncio.Event().wait()


async def _report(cluster: Demo) -> Path:
    settings, instant = cluster.settings, time.time()
    day = window(None, None, settings.report.timezone, instant)
    made = await make(settings, Wanted(day), instant, lambda _: None)
    content = files(made.report, made.timeline, day, settings.report.language, WRITTEN)
    (folder,) = write(settings.report.directory, content)
    return folder.resolve()


def _addresses(cluster: Demo, words: Speech) -> str:
    _ = words.gettext
    first, *others = cluster.pages
    return table(
        ("", ""),
        [
            ("Prometheus", cluster.prometheus),
            (_("Nodes"), first),
            *(("", page) for page in others),
            (_("Metrics"), f"{first}metrics"),
            (_("consumption API"), " · ".join((cluster.api, _("a stand-in")))),
        ],
    )


def _say(words: str) -> None:
    click.echo(f"demo: {words}", err=True)


async def now(demo: Demo, words: Speech) -> str:
    """Tells who uses what now, who got how much of the last half minute, and that nothing is lost."""
    _ = words.gettext
    observed = await demo.ask("sum(amdgpu_observed_seconds_total)")
    booked = await demo.ask("sum(amdgpu_owner_seconds_total) + sum(amdgpu_exporter_unbooked_seconds)")
    recent = _("GPU-seconds of the last {seconds} s").format(seconds=WINDOW_SECONDS)
    conserved = _("Observed {observed} GPU-seconds; owners and unbooked sum to {booked}.")
    return "\n\n".join(
        (
            " · ".join((_("Who uses what"), "amdgpu_utilization_ratio, amdgpu_vram_used_bytes")),
            await _gpus(demo, words),
            f"{recent} · increase(amdgpu_owner_seconds_total[{WINDOW_SECONDS}s])",
            await _users(demo, words),
            conserved.format(observed=words.number(observed[0][1], 3), booked=words.number(booked[0][1], 3)),
        )
    )


async def _gpus(demo: Demo, words: Speech) -> str:
    utilization = await demo.ask("amdgpu_utilization_ratio")
    ownerships = {kind: words.gettext(message) for kind, message in _OWNERSHIPS.items()}
    vram = {labels["gpu_uuid"]: value for labels, value in await demo.ask("amdgpu_vram_used_bytes")}
    headings = N_("Node"), N_("GPU"), N_("User"), N_("Task type"), N_("Ownership"), N_("Utilization"), N_("VRAM")
    return table(
        [words.gettext(heading).upper() for heading in headings],
        [
            (
                labels["hostname"],
                labels["gpu"],
                labels.get("username", ABSENT),
                labels.get("task_type", ABSENT),
                ownerships[labels["ownership"]],
                words.percent(value, 0).rjust(_DIGITS),
                words.gibibytes(vram[labels["gpu_uuid"]]).rjust(_DIGITS),
            )
            for labels, value in sorted(utilization, key=lambda one: (one[0]["hostname"], int(one[0]["gpu"])))
        ],
    )


async def _users(demo: Demo, words: Speech) -> str:
    owned = await demo.ask(_by_user("amdgpu_owner_seconds_total"))
    busy = {_user(labels): value for labels, value in await demo.ask(_by_user("amdgpu_owner_busy_seconds_total"))}
    headings = N_("User"), N_("Task type"), N_("Owned"), N_("Busy")
    return table(
        [words.gettext(heading).upper() for heading in headings],
        [
            (
                *_user(labels),
                words.number(value, 1).rjust(_DIGITS),
                words.number(busy.get(_user(labels), 0.0), 1).rjust(_DIGITS),
            )
            for labels, value in sorted(owned, key=lambda one: -one[1])
        ],
    )


def _by_user(metric: str) -> str:
    return f'sum by (username, task_type) (increase({metric}{{username!=""}}[{WINDOW_SECONDS}s]))'


def _user(labels: dict[str, str]) -> tuple[str, str]:
    return labels.get("username", ""), labels.get("task_type", "")
