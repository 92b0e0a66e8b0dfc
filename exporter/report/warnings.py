"""A report's faults in words."""

from __future__ import annotations

from exporter.report.completeness import (
    CoverageLow,
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
)
from exporter.report.languages import Language, words
from exporter.report.render.figures import coverage


def warning(fault: Fault, language: Language) -> str:
    """Returns the sentence that tells readers of a fault."""
    say = words(language)
    match fault:
        case TasksUnset():
            sentence = say.no_api
        case TasksMissing():
            sentence = say.no_answer.format(error=fault.error)
        case TasksMalformed():
            sentence = say.malformed_tasks.format(count=fault.count)
        case HistoryMissing():
            sentence = say.no_history.format(error=fault.error)
        case HistoryRemark():
            sentence = say.server_says.format(said=fault.text)
        case GpusUnlisted():
            sentence = say.more_than_listed.format(hostname=fault.hostname, seen=fault.seen, listed=fault.listed)
        case CoverageLow():
            sentence = say.too_little_observed.format(
                hostname=fault.hostname, coverage=coverage(fault.ratio), expected=coverage(fault.expected)
            )
    return sentence
