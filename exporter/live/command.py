"""`exporter status`: every GPU now, once or for as long as somebody looks."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from exporter.aliases import HostNames
from exporter.config import Config
from exporter.errors import ExporterError, ReportError, UsageError
from exporter.live import ask, text
from exporter.live.cluster import Cluster, GpuNow
from exporter.live.document import document, used_document
from exporter.names import visible
from exporter.report.history.client import PrometheusClient
from exporter.speech import N_, speech
from exporter.standing import Standing
from exporter.table import terminal_width

_TODAY, _MONTH = N_("Today"), N_("This month")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which GPUs are shown."""

    is_free: bool = False
    username: str | None = None
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run would write all of it out, twice, as it sets signals back
class Look:
    """What one look at the cluster found."""

    cluster: Cluster
    shown: tuple[GpuNow, ...]
    used: dict[str, ask.Used | None] | None
    """What the chosen user used, by the name of the time; None without a user."""


def run(settings: Config, choice: Choice, *, as_json: bool, watch: bool) -> None:
    """Prints every GPU.

    Raises:
        ConfigError: As `PrometheusClient` does.
        HistoryError: Prometheus has no answer.
        ReportError: It has no GPU.
        UsageError: A node or user that is not there, or options that do not go together.
    """
    if not watch:
        found = asyncio.run(look(settings, choice, time.time()))
        click.echo(_json(settings, choice, found) if as_json else shown(settings, choice, found, terminal_width()))
        for remark in found.cluster.remarks:
            click.echo(f"exporter: Prometheus says: {remark}", err=True)
        return
    if as_json:
        raise UsageError("--watch and --json do not go together")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--watch needs a terminal")
    from exporter.live.watch import watch as watched  # noqa: PLC0415  few look for long

    asyncio.run(watched(settings, choice))


def show_free(settings: Config, nodes: Collection[str], held: Collection[str]) -> None:
    """Prints which GPUs are free; or, on stderr and in one line, why that is not known.

    Args:
        settings: The settings.
        nodes: Only of these hosts; empty: all.
        held: Unique ids of GPUs that are taken, though Prometheus may not know that yet.
    """
    try:
        found = asyncio.run(look(settings, Choice(is_free=True, nodes=tuple(nodes)), time.time()))
    except ExporterError as error:
        click.echo(f"exporter: which GPUs are free is not known: {visible(' '.join(str(error).split()))}", err=True)
        return
    free = [gpu for gpu in found.shown if gpu.gpu_uuid not in held]
    for line in text.places(free, speech(settings.report.language), terminal_width()):
        click.echo(line)


async def look(settings: Config, choice: Choice, now: float) -> Look:
    """Asks once.

    Raises:
        ConfigError, HistoryError, ReportError, UsageError: As `run` does.
    """
    async with PrometheusClient(settings.prometheus) as client:
        if choice.username is None:
            cluster, used = await ask.cluster(client, now), None
        else:
            day, month = _starts(now, settings.report.timezone)
            cluster, today, this_month = await asyncio.gather(
                ask.cluster(client, now),
                ask.used(client, choice.username, day, now),
                ask.used(client, choice.username, month, now),
            )
            used = {_TODAY: today, _MONTH: this_month}
    if not cluster.gpus:
        raise ReportError(
            f"{settings.prometheus.url} has no GPU of the last day: does it scrape the exporters, and does "
            "prometheus.matchers fit?"
        )
    return Look(cluster, tuple(_chosen(cluster.gpus, choice, used)), used)


def shown(settings: Config, choice: Choice, found: Look, width: int) -> str:
    """Returns a look as text."""
    words = speech(settings.report.language)
    parts = [text.render(found.cluster, found.shown, words, width)]
    if choice.username is not None and found.used is not None:
        parts.insert(0, text.usage(choice.username, len(found.shown), found.used, words, width))
    return "\n\n".join(parts)


def _json(settings: Config, choice: Choice, found: Look) -> str:
    zone = ZoneInfo(settings.report.timezone)
    whole = document(Cluster(found.cluster.time, found.shown, found.cluster.scraped_at), zone).model_dump()
    if choice.username is not None and found.used is not None:
        whole["user"] = {
            "username": choice.username,
            "today": used_document(found.used[_TODAY]).model_dump(),
            "this_month": used_document(found.used[_MONTH]).model_dump(),
        }
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _chosen(gpus: Sequence[GpuNow], choice: Choice, used: dict[str, ask.Used | None] | None) -> list[GpuNow]:
    chosen = [
        gpu
        for gpu in (_of_nodes(gpus, choice.nodes) if choice.nodes else gpus)
        if (choice.username is None or choice.username in gpu.usernames)
        and (not choice.is_free or gpu.standing is Standing.FREE)
    ]
    if used is not None and not chosen and not any(used.values()):
        known = ", ".join(sorted({name for gpu in gpus for name in gpu.usernames}))
        raise UsageError(f"unknown user {choice.username}: no task this month; now there are: {known or 'none'}")
    return chosen


def _of_nodes(gpus: Sequence[GpuNow], nodes: Collection[str]) -> list[GpuNow]:
    seen: dict[str, set[str]] = {}
    for gpu in gpus:
        seen.setdefault(gpu.hostname, set()).add(gpu.gpu_uuid)
    hosts = HostNames(seen, mentioned=nodes)
    wanted = {hosts.name(node) for node in nodes}
    if unknown := wanted - {hosts.name(host) for host in seen}:
        raise UsageError(f"unknown node {', '.join(sorted(unknown))}; there are: {', '.join(sorted(seen))}")
    return [gpu for gpu in gpus if hosts.name(gpu.hostname) in wanted]


def _starts(now: float, zone: str) -> tuple[float, float]:
    """Returns when the day and the month began."""
    midnight = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp(), midnight.replace(day=1).timestamp()
