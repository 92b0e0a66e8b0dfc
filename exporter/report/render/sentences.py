"""What a report's findings are called: a sentence for each, in the language of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from exporter.names import visible
from exporter.report.accounting.findings import (
    Finding,
    Free,
    Holding,
    Idle,
    IdleChange,
    IdleMost,
    NoGpus,
    Stray,
    Use,
    findings,
)
from exporter.report.accounting.node_faults import LostGpu, NodeFault, NodeFaults
from exporter.report.accounting.timeline import Timeline
from exporter.report.render.cells import Cells, coverage
from exporter.report.render.clock import Clock
from exporter.speech import N_
from exporter.table import cut

_MOST_NODES: Final = 3
"""With faults."""
_MOST_FREE_NODES: Final = 5
_MOST_LOST: Final = 2
"""GPUs of a node."""
_NAME: Final = 24
"""Columns of a name in a sentence; tables show all of it."""
_DECIMALS: Final = 1
_PARTS: Final = {
    "owned_gpu_hours": N_("{part} owned"),
    "unallocated_gpu_hours": N_("{part} unallocated"),
    "unknown_gpu_hours": N_("{part} unknown"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of the brief; it wraps."""

    text: str
    is_fault: bool = False


def sentences(cells: Cells, timeline: Timeline | None, name: Callable[[str], str] = str) -> Iterator[Sentence]:
    """Yields what matters, in the language, the most important first.

    Args:
        cells: The report and its language.
        timeline: The same GPUs over the same window; None: what only it tells is left out.
        name: Writes what others chose, safe for where it will stand; it is short by then.
    """
    wording = _Wording(cells, lambda text: name(cut(visible(text), _NAME)))
    for finding in findings(cells.report, timeline):
        yield from wording.said(finding)


@dataclass(frozen=True, slots=True)
class _Wording:
    """Puts findings into words."""

    cells: Cells
    name: Callable[[str], str]

    def said(self, finding: Finding) -> Iterator[Sentence]:
        match finding:
            case NoGpus():
                yield Sentence(self._("There is no GPU to report on."))
            case Idle():
                yield Sentence(self._idle(finding))
            case IdleChange():
                yield Sentence(self._idle_change(finding))
            case IdleMost():
                yield Sentence(self._idle_most(finding))
            case Use():
                yield Sentence(self._use(finding))
            case Stray():
                yield Sentence(self._stray(finding))
            case Free():
                yield Sentence(self._free(finding))
            case NodeFaults():
                yield from (Sentence(text, is_fault=True) for text in self._node_faults(finding))

    def _(self, message: str) -> str:
        return self.cells.speech.gettext(message)

    def _hours(self, hours: float | None, covered: float | None = None) -> str:
        """Returns `12.5 GPU-hours`, or `12.5 GPU-hours (coverage 87.5%)` where that is low."""
        words = self.cells.speech
        amount = self._("{hours} GPU-hours").format(hours=words.number(hours, _DECIMALS))
        if covered is None:
            return amount
        return words.aside(amount, self._("coverage {ratio}").format(ratio=coverage(covered, words)))

    def _percent(self, part: float) -> str:
        return self.cells.speech.percent(part, 0)

    def _idle(self, idle: Idle) -> str:
        if not idle.hours:
            return self._("None of the owned time was idle.")
        sentence = (
            N_("{part} of the owned time was idle: {hours}, as much as {gpus} GPUs that did nothing at all.")
            if idle.matters
            else N_("Little of the owned time was idle: {part}, {hours}.")
        )
        return self._(sentence).format(
            part=self._percent(idle.part),
            hours=self._hours(idle.hours, idle.coverage),
            gpus=self.cells.speech.number(idle.gpus, _DECIMALS),
        )

    def _idle_change(self, change: IdleChange) -> str:
        more, less = (
            (
                N_("That is {change} more than the median of the seven days before."),
                N_("That is {change} less than the median of the seven days before."),
            )
            if change.is_median
            else (
                N_("That is {change} more than the day before."),
                N_("That is {change} less than the day before."),
            )
        )
        return self._(more if change.change > 0 else less).format(change=self._percent(abs(change.change)))

    def _idle_most(self, most: IdleMost) -> str:
        holdings = self._("; ").join(map(self._holding, most.holdings))
        return self._("The most idle: {holdings}.").format(holdings=holdings)

    def _holding(self, holding: Holding) -> str:
        facts = {
            "user": self.name(holding.username),
            "hours": self._hours(holding.idle_hours),
            "gpus": self.cells.speech.number(holding.freed_gpus, _DECIMALS),
        }
        if holding.task_type is None or holding.hostname is None:
            return self._("{user}, {hours}, would free {gpus} GPUs").format(**facts)
        return self._("{user}'s {type} on {node}, {hours}, would free {gpus} GPUs").format(
            type=self.name(holding.task_type), node=self.name(holding.hostname), **facts
        )

    def _use(self, use: Use) -> str:
        totals, words = use.totals, self.cells.speech
        facts = {"gpus": words.number(use.gpus, 0), "hours": self._hours(totals.capacity_gpu_hours, use.coverage)}
        if use.is_share:
            held = self._("They owned {hours} on {gpus} GPUs").format(**facts)
        else:
            parts = [self._(_PARTS[name]).format(part=self._percent(part)) for name, part in use.parts.items()]
            held = self._("Of {hours}, {gpus} GPUs in all: {parts}").format(parts=words.listed(parts), **facts)
        if totals.efficiency_ratio is None:
            return self._("{held}.").format(held=held)
        return self._("{held}; busy while owned {busy}, efficiency {efficiency}.").format(
            held=held,
            busy=self._hours(totals.owned_busy_gpu_hours),
            efficiency=self._percent(totals.efficiency_ratio),
        )

    def _stray(self, stray: Stray) -> str:
        return self._("{hours} were computed on GPUs that nobody held, the most on {node}, {gpu}: {most}.").format(
            hours=self._hours(stray.hours),
            node=self.name(stray.worst.hostname),
            gpu=self.name(self.cells.gpu(stray.worst.gpu, stray.worst.gpu_id)),
            most=self._hours(stray.worst_hours),
        )

    def _free(self, free: Free) -> str:
        words = self.cells.speech
        end = Clock.of(self.cells.report).full(free.end)
        if not free.gpus:
            return self._("No GPU was unallocated as the report ends, {end}.").format(end=end)
        nodes = [
            self._("{node} {count}").format(node=self.name(node), count=words.number(count, 0))
            for node, count in list(free.nodes.items())[:_MOST_FREE_NODES]
        ]
        if left_out := len(free.nodes) - len(nodes):
            nodes.append(self._more_nodes(left_out))
        return words.ngettext(
            "{count} of {all} GPUs was unallocated as the report ends, {end}: {nodes}.",
            "{count} of {all} GPUs were unallocated as the report ends, {end}: {nodes}.",
            free.gpus,
        ).format(count=words.number(free.gpus, 0), all=words.number(free.of, 0), end=end, nodes=words.listed(nodes))

    def _node_faults(self, faults: NodeFaults) -> Iterator[str]:
        yield from map(self._node_fault, faults.nodes[:_MOST_NODES])
        if (left_out := len(faults.nodes) - _MOST_NODES) > 0:
            yield self._more_nodes(left_out)

    def _node_fault(self, node: NodeFault) -> str:
        words, facts = self.cells.speech, []
        if node.coverage is not None:
            facts.append(self._("coverage {ratio}").format(ratio=coverage(node.coverage, words)))
        if node.is_gone and node.gone_since:
            facts.append(self._("no GPU of it was observed after {time}").format(time=self._time(node.gone_since)))
        elif node.is_gone:
            facts.append(self._("no GPU of it was observed"))
        facts += map(self._lost, node.lost[:_MOST_LOST])
        if (left_out := len(node.lost) - _MOST_LOST) > 0:
            facts.append(
                words.ngettext("and {count} more GPU", "and {count} more GPUs", left_out).format(count=left_out)
            )
        return words.named(self.name(node.hostname), self._("; ").join(facts))

    def _lost(self, lost: LostGpu) -> str:
        gpu = self.name(self.cells.gpu(lost.row.gpu, lost.row.gpu_id))
        if lost.since:
            return self._("{gpu} was not observed after {time}").format(gpu=gpu, time=self._time(lost.since))
        if lost.row.gpu_uuid is None:
            return self._("a GPU of the inventory was never seen")
        return self._("{gpu} was not observed at all").format(gpu=gpu)

    def _more_nodes(self, count: int) -> str:
        return self.cells.speech.ngettext("and {count} more node", "and {count} more nodes", count).format(count=count)

    def _time(self, iso: str) -> str:
        return Clock.of(self.cells.report).short(iso)
