"""A report as the message that a target gets, in its language and format. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from exporter import config
from exporter.config import Delivery
from exporter.report.accounting.findings import findings
from exporter.report.accounting.node_faults import NodeFaults
from exporter.report.accounting.periods import PeriodReport
from exporter.report.completeness import Fault
from exporter.report.delivery.message import Message, attachments
from exporter.report.make import Made
from exporter.report.output import files
from exporter.report.period_output import files as period_files
from exporter.report.render import brief, headline, mail
from exporter.report.render.period import brief as period_brief
from exporter.report.render.period.cells import PeriodCells
from exporter.report.warnings import worded
from exporter.report.window import Window
from exporter.report.write import whole
from exporter.speech import speech
from exporter.table import LEAST_WIDTH


def is_faulty(made: Made) -> bool:
    """Returns whether anything is wrong with a day: a warning, or a node or GPU that was lost or badly observed."""
    return bool(made.faults) or any(isinstance(finding, NodeFaults) for finding in findings(made.report, made.timeline))


def of_day(made: Made, day: Window, settings: config.Report, target: Delivery) -> Message:
    """Returns a day's report for a target."""
    language = target.language or settings.language
    report, link = worded(made.report, made.faults, language), _link(settings, day.name)
    is_html = target.format == "html"
    body = (
        mail.day(report, made.timeline, language, link)
        if is_html
        else _text(brief.render(report, made.timeline, language, LEAST_WIDTH), link)
    )
    attached = attachments(day.name, whole(files(report, made.timeline, day, language, target.attach)))
    return Message(headline.title(report, speech(language)), body, is_html, tuple(attached))


def of_period(unworded: PeriodReport, faults: Sequence[Fault], settings: config.Report, target: Delivery) -> Message:
    """Returns a week's or month's report for a target."""
    language = target.language or settings.language
    report, link = worded(unworded, faults, language), _link(settings, unworded.period)
    is_html = target.format == "html"
    body = (
        mail.period(report, language, link)
        if is_html
        else _text(period_brief.render(report, language, LEAST_WIDTH), link)
    )
    attached = attachments(report.period, period_files(report, language, target.attach))
    return Message(PeriodCells(report, speech(language)).title, body, is_html, tuple(attached))


def _link(settings: config.Report, name: str) -> str | None:
    return f"{settings.url}/{name}/report.html" if settings.url else None


def _text(text: str, link: str | None) -> str:
    return f"{text}\n{link}\n" if link else text
