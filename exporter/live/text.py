"""The cluster as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from exporter.live.ask import Used
from exporter.live.cluster import Cluster, GpuNow
from exporter.names import by_hostname, visible
from exporter.speech import N_, Speech
from exporter.standing import Standing
from exporter.table import Head, layout, stacked, wrapped

_SECONDS_PER_HOUR: Final = 3600.0
OLD_SECONDS: Final = 120.0
"""After which it is said how old the newest sample is."""
_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_HEADS: Final = (
    Head(N_("Node"), is_fixed=True),
    Head(N_("GPU"), is_figure=True),
    Head(N_("id"), is_figure=True),
    Head(N_("State"), is_fixed=True),
    Head(N_("User")),
    Head(N_("Type")),
    Head(N_("Held"), is_figure=True),
    Head(N_("Util."), is_figure=True),
    Head(N_("VRAM"), is_figure=True),
    Head(N_("Power"), is_figure=True),
)


def render(cluster: Cluster, shown: Sequence[GpuNow], words: Speech, width: int) -> str:
    """Returns sums of all GPUs, and a line for each of those that are shown.

    Args:
        cluster: All GPUs.
        shown: Some of them.
        words: The language.
        width: Columns of the terminal.
    """
    lines = list(_sums(cluster, words, width))
    if shown:
        lines.append("")
        heads = [Head(stacked(words.gettext(head.title)), head.is_figure, head.is_fixed) for head in _HEADS]
        lines += layout(heads, [_row(gpu, cluster.time, words) for gpu in shown], width)
    return "\n".join(lines)


def usage(username: str, held_now: int, spans: Mapping[str, Used | None], words: Speech, width: int) -> str:
    """Returns what a user holds now, and what they used.

    Args:
        username: The user.
        held_now: GPUs.
        spans: By the name of the time, marked for translation.
        words: The language.
        width: Columns of the terminal.
    """
    now = words.ngettext("holds {count} GPU now", "holds {count} GPUs now", held_now).format(count=held_now)
    lines = [words.named(visible(username), now)]
    for name, one in spans.items():
        held, busy, idle = (one.held, one.busy, one.idle) if one else (0.0, 0.0, 0.0)
        told = words.gettext("{held} GPU-h held, {busy} busy, {idle} idle").format(
            held=_hours(held, words), busy=_hours(busy, words), idle=_hours(idle, words)
        )
        lines.append(words.named(words.gettext(name), told))
    return "\n".join(line for text in lines for line in wrapped(text, width, "  "))


def places(free: Iterable[GpuNow], words: Speech, width: int) -> Iterator[str]:
    """Yields where free GPUs are, as lines: `Free: gpu1 0, 3; gpu2 5`.

    Args:
        free: The GPUs.
        words: The language.
        width: Columns of the terminal.
    """
    hosts = by_hostname(free, lambda gpu: gpu.hostname)
    told = "; ".join(f"{visible(host)} {', '.join(gpu.gpu for gpu in gpus)}" for host, gpus in hosts.items())
    return wrapped(words.named(words.gettext("Free"), told or words.gettext("none")), width, "  ")


def _hours(seconds: float, words: Speech) -> str:
    return words.number(seconds / _SECONDS_PER_HOUR, 1)


def _sums(cluster: Cluster, words: Speech, width: int) -> Iterator[str]:
    """Yields how many GPUs stand how, which are free, and how old that is if it is old."""
    count = len(cluster.gpus)
    counts = cluster.counts()
    told = " · ".join(f"{number} {words.gettext(kind.label)}" for kind, number in counts.items() if number)
    gpus = words.ngettext("{count} GPU", "{count} GPUs", count).format(count=count)
    yield from wrapped(words.named(gpus, told), width, "  ")
    if free := [gpu for gpu in cluster.gpus if gpu.standing is Standing.FREE]:
        yield from places(free, words, width)
    if cluster.scraped_at is not None and (age := cluster.time - cluster.scraped_at) > OLD_SECONDS:
        yield words.gettext("The newest sample came {ago}.").format(ago=words.ago(age))


def _row(gpu: GpuNow, now: float, words: Speech) -> list[str]:
    since = gpu.since
    return [
        visible(gpu.hostname),
        visible(gpu.gpu),
        visible(gpu.gpu_id),
        state(gpu, now, words),
        visible("+".join(gpu.usernames)),
        visible("+".join(gpu.task_types)),
        "" if since is None else _brief(now - since),
        "" if gpu.utilization is None else words.percent(gpu.utilization, 0),
        "" if gpu.vram_ratio is None else words.percent(gpu.vram_ratio, 0),
        power(gpu, words),
    ]


def power(gpu: GpuNow, words: Speech) -> str:
    """Returns `642 W`; empty where it is absent."""
    return "" if gpu.power_watts is None else f"{words.number(gpu.power_watts, 0)} W"


def state(gpu: GpuNow, now: float, words: Speech) -> str:
    """Returns where a GPU stands, and for how long where that matters: `held, idle 3h`."""
    label = words.gettext(gpu.standing.label)
    lasting = None
    if gpu.standing is Standing.HELD_IDLE:
        lasting = gpu.idleness.seconds
    elif gpu.standing is Standing.SILENT and gpu.last_seen is not None:
        lasting = now - gpu.last_seen
    if lasting is None:
        return label
    more = ">" if gpu.standing is Standing.HELD_IDLE and gpu.idleness.may_be_longer else ""
    return f"{label} {more}{_brief(lasting)}"


def _brief(seconds: float) -> str:
    """Returns `40s`, `25m`, `3h` or `2d`, as the config writes durations."""
    for unit, length in _UNITS.items():
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return "0s"
