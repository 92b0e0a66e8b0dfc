"""A report's faults in words."""

from __future__ import annotations

from exporter.report.completeness import (
    CoverageLow,
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    SamplesImpossible,
    SamplesTwice,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    TimeUnpriced,
)
from exporter.report.render.cells import coverage
from exporter.speech import Speech


def warning(fault: Fault, speech: Speech) -> str:  # noqa: C901  one case for each fault
    """Returns the sentence that tells readers of a fault."""
    _ = speech.gettext
    match fault:
        case TasksUnset():
            sentence = _("tasks.url is not set: owners come from the history's labels")
        case TasksMissing():
            sentence = _("{error}; owners come from the history's labels").format(error=fault.error)
        case TasksMalformed():
            sentence = speech.ngettext(
                "{count} entry of the consumption API cannot be accounted in full: "
                "the GPUs it names are unknown where no other task holds them",
                "{count} entries of the consumption API cannot be accounted in full: "
                "the GPUs they name are unknown where no other task holds them",
                fault.count,
            ).format(count=fault.count)
        case HistoryMissing():
            sentence = _("{error}; only owned time can be told").format(error=fault.error)
        case HistoryRemark():
            sentence = _("the scrape history's server says: {said}").format(said=fault.text)
        case SamplesImpossible():
            sentence = _("the scrape history's {query}: values that cannot be were left out").format(query=fault.query)
        case SamplesTwice():
            sentence = _("the scrape history's {query}: told twice, counted once").format(query=fault.query)
        case GpusUnlisted():
            sentence = _("{hostname}: {seen} GPUs were seen, report.nodes lists {listed}").format(
                hostname=fault.hostname, seen=fault.seen, listed=fault.listed
            )
        case CoverageLow():
            sentence = _("{hostname}: {coverage} of its GPU time was observed, expected {expected} or more").format(
                hostname=fault.hostname,
                coverage=coverage(fault.ratio, speech),
                expected=coverage(fault.expected, speech),
            )
        case TimeUnpriced():
            sentence = _("{hours} GPU-hours that were owned have no price: no rule of report.prices fits them").format(
                hours=speech.number(fault.gpu_hours)
            )
    return sentence
