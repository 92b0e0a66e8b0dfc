"""`exporter demo`: brings the cluster up, and tells what the reports and Prometheus say of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from pathlib import Path

import click

from exporter.config import Config
from exporter.demo.progress import step
from exporter.demo.reports import report_past
from exporter.demo.run import Demo, running, scraped
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


async def demo(given: Config | None, folder: Path, *, finite: bool) -> None:
    """Runs the demo until Ctrl-C, or once.

    Args:
        given: The user's config, whose `report` is followed; None: he named none.
        folder: For its config and its reports.
        finite: Whether it ends by itself.

    Raises:
        ConfigError: The folder cannot be written.
        ExporterError: Prometheus is not installed or does not start, or a report failed.
    """
    this = asyncio.current_task()
    assert this is not None
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await _demo(given, folder, finite=finite)


async def _demo(given: Config | None, folder: Path, *, finite: bool) -> None:
    words = speech((given or Config()).report.language)
    _ = words.gettext
    async with running(given, folder, words) as cluster:
        await report_past(cluster, words)
        for options in (("--format", "brief"), ("--month", cluster.past.periods()[-1].name)):
            await _run("report", "--config", str(cluster.config_file), *options)
        click.echo(f"{_addresses(cluster, words)}\n")
        if finite:
            with step(_("letting Prometheus scrape for {seconds} s").format(seconds=_LOOK_SECONDS), 1):
                await scraped(cluster, _LOOK_SECONDS)
            click.echo(await now(cluster, words))
        else:
            click.echo("\n".join((_suggestions(cluster, words), "", _("Ctrl-C ends it."))))
            await asyncio.Event().wait()


async def _run(*arguments: str) -> None:
    """Shows a command, and what it prints."""
    click.echo(f"$ exporter {shlex.join(arguments)}\n")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "exporter", *arguments)
    try:
        await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    click.echo()


def _addresses(cluster: Demo, words: Speech) -> str:
    _ = words.gettext
    first, *others = cluster.pages
    index = cluster.settings.report.directory.resolve() / "index.html"
    return table(
        ("", ""),
        [
            (_("Reports"), index.as_uri()),
            (_("Portal"), cluster.portal),
            (_("Nodes"), first),
            *(("", page) for page in others),
            (_("Metrics"), f"{first}metrics"),
            ("Prometheus", cluster.prometheus),
            (_("consumption API"), " · ".join((cluster.api, _("a stand-in")))),
        ],
    )


def _suggestions(cluster: Demo, words: Speech) -> str:
    """Returns commands to try in another terminal."""
    program = Path(sys.executable).with_name("exporter")
    call, config = (shlex.quote(os.path.relpath(path)) for path in (program, cluster.config_file))
    week = next(one for one in reversed(cluster.past.periods()) if one.kind == "week")
    commands = (
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"{call} status --config {config}",
        f"{call} status --config {config} --watch",
        f"{call} tasks --config {config}",
        f"{call} report --config {config}",
        f"{call} report --config {config} --week {week.name}",
    )
    return "\n".join((words.gettext("To try in another terminal:"), "", *(f"  {command}" for command in commands)))


async def now(demo: Demo, words: Speech) -> str:
    """Tells who uses what now, who got how much of the last half minute, and that nothing is lost."""
    _ = words.gettext
    before = f"offset {WINDOW_SECONDS}s"
    observed = await demo.ask(f"sum(amdgpu_observed_seconds_total) - sum(amdgpu_observed_seconds_total {before})")
    booked = await demo.ask(
        "sum(amdgpu_owner_seconds_total) + sum(amdgpu_exporter_unbooked_seconds)"
        f" - sum(amdgpu_owner_seconds_total {before}) - sum(amdgpu_exporter_unbooked_seconds {before})"
    )
    recent = _("GPU-seconds of the last {seconds} s").format(seconds=WINDOW_SECONDS)
    conserved = _("Observed {observed} GPU-seconds; owners and what is not yet booked gained {booked}.")
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
