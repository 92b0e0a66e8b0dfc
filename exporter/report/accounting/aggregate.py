"""From accounts to the rows of the report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, islice
from math import fsum
from typing import Any, TypeVar

from exporter.errors import UsageError
from exporter.model import Task
from exporter.names import natural
from exporter.report.accounting.accounts import GpuAccount, place
from exporter.report.accounting.figures import Usage, usages
from exporter.report.accounting.invoices import invoices
from exporter.report.accounting.on_demand import OnDemand
from exporter.report.accounting.part_table import MOST_ROWS, PartTable
from exporter.report.accounting.rows import (
    GpuRow,
    NodeRow,
    ProjectRow,
    Report,
    Sources,
    TaskRow,
    TaskRows,
    TaskTypeRow,
    UserRow,
    WasteRow,
)
from exporter.report.accounting.sums import Rows
from exporter.report.accounting.usage import HOUR, Part, Tariff
from exporter.report.window import Window

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Filter:
    """What `--user` and `--node` narrow the report to; empty: everything."""

    users: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Costs:
    """What is charged."""

    tariff: Tariff = field(default_factory=Tariff)
    currency: str | None = None
    digits: int = 2
    """Decimals of amounts on a bill."""
    projects: Mapping[str, str] = field(default_factory=dict)
    """Names of projects, by UUID."""


def narrowed(accounts: Sequence[GpuAccount], wanted: Filter, known_nodes: Iterable[str]) -> list[GpuAccount]:
    """Returns the accounts of the nodes wanted, with the parts of the users wanted, by hostname, then index.

    Raises:
        UsageError: A user or node that is not known; the message names those that are.
    """
    hosts = {account.gpu.hostname for account in accounts} | set(known_nodes)
    users = {part.username for account in accounts for part in account.parts if part.is_owned}
    check_known("node", wanted.nodes, hosts)
    check_known("user", wanted.users, users)
    chosen = (account for account in accounts if not wanted.nodes or account.gpu.hostname in wanted.nodes)
    kept = sorted(chosen, key=place)
    if not wanted.users:
        return kept
    kept = [
        replace(account, parts=tuple(part for part in account.parts if part.username in wanted.users))
        for account in kept
    ]
    return [account for account in kept if account.parts]


def build(
    window: Window,
    accounts: Sequence[GpuAccount],
    *,
    sources: Sources,
    costs: Costs,
    min_coverage_ratio: float,
) -> Report:
    """Sums the accounts to every row of the report.

    Args:
        window: The stretch of time.
        accounts: The GPUs, as narrowed.
        sources: Where the figures come from.
        costs: What is charged.
        min_coverage_ratio: The coverage that is expected.

    Returns:
        The report, without warnings and comparison.
    """
    tariff = costs.tariff
    parts = [part for account in accounts for part in account.parts]
    table = PartTable.of(parts, window.edges)
    of_gpus = _in_turn([len(account.parts) for account in accounts])
    of_nodes = _grouped(range(len(accounts)), lambda n: accounts[n].gpu.hostname)
    owned = [n for n, part in enumerate(parts) if part.is_owned]
    of_users = _by_hours(parts, owned, lambda part: part.username)
    of_types = _by_hours(parts, owned, lambda part: part.task_type)
    of_projects = _by_hours(parts, owned, lambda part: part.task.project_uuid if part.task else None)
    of_tasks = list(_grouped(owned, lambda n: task.key if (task := parts[n].task) else None).values())
    in_order = sorted(of_tasks, key=lambda places: _task_order(parts[places[0]]))

    def usage(rows: Iterable[Sequence[int]]) -> Sequence[Usage]:
        left = iter(rows)
        in_turn = iter(lambda: list(islice(left, MOST_ROWS)), [])
        return usages(table.sums(Rows.of(some), tariff) for some in in_turn)

    def mine(places: Iterable[int]) -> list[Part]:
        return [parts[n] for n in places]

    figures_of_tasks = usage(in_order)
    return Report(
        date=str(window.first),
        to=str(window.last),
        timezone=window.zone.key,
        start=window.local(window.start).isoformat(),
        end=window.local(window.end).isoformat(),
        is_over=window.is_over,
        currency=costs.currency,
        min_coverage_ratio=min_coverage_ratio,
        sources=sources,
        warnings=[],
        totals=usage([range(len(parts))])[0],
        comparison=[],
        nodes=[
            NodeRow(hostname=hostname, gpu_count=len(members), usage=figures)
            for (hostname, members), figures in zip(
                of_nodes.items(),
                usage([n for member in members for n in of_gpus[member]] for members in of_nodes.values()),
                strict=True,
            )
        ],
        gpus=[_gpu_row(account, figures) for account, figures in zip(accounts, usage(of_gpus), strict=True)],
        users=[
            UserRow(
                username=username,
                task_count=_task_count(mine(places)),
                gpu_count=len({parts[n].gpu for n in places}),
                usage=figures,
            )
            for (username, places), figures in zip(of_users.items(), usage(of_users.values()), strict=True)
        ],
        task_types=[
            TaskTypeRow(task_type=task_type, task_count=_task_count(mine(places)), usage=figures)
            for (task_type, places), figures in zip(of_types.items(), usage(of_types.values()), strict=True)
        ],
        projects=[
            ProjectRow(
                project_uuid=project,
                project_name=costs.projects.get(project),
                usernames=sorted({parts[n].username for n in places}),
                task_count=_task_count(mine(places)),
                usage=figures,
            )
            for (project, places), figures in zip(of_projects.items(), usage(of_projects.values()), strict=True)
        ],
        tasks=TaskRows(
            [fsum(part.seconds for part in mine(places)) / HOUR for places in in_order],
            lambda n: _task_row(window, mine(in_order[n]), figures_of_tasks[n]),
        ),
        waste=_waste(window, table, of_tasks, tariff),
        invoices=invoices(mine(owned), tariff.prices, costs.projects, costs.digits),
    )


def check_known(what: str, wanted: Collection[str], known: Collection[str]) -> None:
    """Checks that what the command line names is there.

    Raises:
        UsageError: It is not; the message names what is.
    """
    if unknown := set(wanted) - set(known):
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"unknown {what} {', '.join(sorted(unknown))}; in this window there are: {names}")


def _grouped(items: Iterable[_T], key: Callable[[_T], _K | None]) -> dict[_K, list[_T]]:
    groups: dict[_K, list[_T]] = {}
    for item in items:
        if (name := key(item)) is not None:
            groups.setdefault(name, []).append(item)
    return groups


def _in_turn(counts: Sequence[int]) -> list[range]:
    """Returns ranges of these lengths, one after the other."""
    return [range(end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]


def _by_hours(parts: Sequence[Part], owned: Iterable[int], key: Callable[[Part], str | None]) -> dict[str, list[int]]:
    """Returns the places of owned parts in groups, those with the most time held first."""
    groups = _grouped(owned, lambda n: key(parts[n])).items()
    return dict(sorted(groups, key=lambda group: (-sum(parts[n].seconds for n in group[1]), group[0])))


def _gpu_row(account: GpuAccount, usage: Usage) -> GpuRow:
    gpu = account.gpu
    return GpuRow(
        hostname=gpu.hostname,
        gpu=gpu.index,
        gpu_uuid=gpu.uuid,
        gpu_id=gpu.gpu_id,
        model=gpu.model,
        card=gpu.card or None,
        users=sorted({part.username for part in account.parts if part.is_owned}),
        usage=usage,
    )


def _task_row(window: Window, parts: Sequence[Part], usage: Usage) -> TaskRow:
    task = _task_of(parts)
    ended = task.end <= window.end
    return TaskRow(
        task_id=task.task_id,
        username=task.username,
        task_type=task.task_type,
        project_uuid=task.project_uuid,
        image=task.image,
        hostname=task.hostname,
        gpu_uuids=[gpu.uuid for gpu in task.gpus],
        gpu_ids=[gpu.gpu_id for gpu in task.gpus if gpu.gpu_id],
        gpu_model=_first(chain((gpu.model for gpu in task.gpus), (part.gpu.model for part in parts))) or "",
        gpu_memory_mib=_first(chain((gpu.memory_mib for gpu in task.gpus), map(_memory_mib, parts))),
        start=window.local(task.start).isoformat(),
        end=window.local(task.end).isoformat() if ended else None,
        running=not ended,
        seconds_in_window=window.overlap(task.start, task.end),
        usage=usage,
    )


def _first(told: Iterable[_T | None]) -> _T | None:
    """Returns the first that says anything."""
    return next(filter(None, told), None)


def _task_count(parts: Iterable[Part]) -> int | None:
    """Returns how many tasks; None where labels alone tell whose the parts are."""
    return len({part.task.key for part in parts if part.task}) or None


def _memory_mib(part: Part) -> int | None:
    """Returns the GPU's as the history has it."""
    total = part.cells.vram_total_bytes if part.cells else None
    return total and total // 2**20


def _task_of(parts: Sequence[Part]) -> Task:
    task = parts[0].task
    assert task is not None
    return task


def _task_order(part: Part) -> tuple[Any, ...]:
    task = _task_of([part])
    return natural(task.hostname), task.start, task.task_id


def _waste(window: Window, table: PartTable, tasks: Iterable[Sequence[int]], tariff: Tariff) -> Sequence[WasteRow]:
    """Returns the tasks that left GPUs idle, the most idle time first."""
    longest_idle = table.longest_idle().tolist()

    def order(places: Sequence[int]) -> tuple[Any, ...]:
        parts = [table.parts[n] for n in places]
        task = _task_of(parts)
        return -sum(part.amounts.idle_seconds for part in parts), task.username, task.task_id

    found = sorted((places for places in tasks if any(longest_idle[n] for n in places)), key=order)

    def row(number: int) -> WasteRow:
        parts = [table.parts[n] for n in found[number]]
        task = _task_of(parts)
        idle = sum(part.amounts.idle_seconds for part in parts)
        observed = sum(part.amounts.observed_seconds for part in parts)
        return WasteRow(
            username=task.username,
            task_id=task.task_id,
            task_type=task.task_type,
            hostname=task.hostname,
            gpu_ids=list(dict.fromkeys(gpu_id for part in parts if (gpu_id := part.gpu.gpu_id))),
            idle_gpu_hours=idle / HOUR,
            idle_vram_held_gpu_hours=sum(part.amounts.idle_vram_held_seconds for part in parts) / HOUR,
            longest_idle_hours=max(longest_idle[n] for n in found[number]) / HOUR,
            freed_gpus=idle / window.seconds,
            coverage_ratio=observed / sum(part.seconds for part in parts),
            cost=None if (cost := tariff.prices.idle_cost(parts)) is None else float(cost),
        )

    return OnDemand(len(found), row)
