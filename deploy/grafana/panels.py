"""The few kinds of panels that the dashboards are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.queries import Query
from exporter.speech import N_, Speech

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEADINGS = {
    "hostname": N_("Node"),
    "gpu": N_("GPU"),
    "gpu_uuid": N_("Unique id"),
    "gpu_id": N_("GPU id"),
    "username": N_("User"),
    "task_type": N_("Task type"),
    "ownership": N_("Ownership"),
    "task_id": N_("Task"),
    "project_uuid": N_("Project"),
    "image": N_("Image"),
    "model": N_("Model"),
    "bdf": N_("PCI address"),
    "card": N_("Card"),
    "driver_version": N_("Driver"),
    "vbios_version": N_("VBIOS"),
    "compute_partition": N_("Compute partition"),
    "memory_partition": N_("Memory partition"),
}
STATES = {
    N_("owned"): "blue",
    N_("shared"): "purple",
    N_("unallocated"): "green",
    N_("unknown"): "orange",
    N_("unreadable"): "red",
}

ANY: Final = 1e-9
"""Above 0: Grafana's steps begin at their value."""
AnyPanel = TypeVar("AnyPanel", bargauge.Panel, lines.Panel, stat.Panel, statetimeline.Panel, table.Panel)


@dataclass(frozen=True, slots=True)
class Series:
    """A query and the name of what it yields: a legend, or the heading of a column."""

    query: Query
    name: str = ""
    color: str = ""
    """Empty where Grafana is to choose one."""


def _described(panel: AnyPanel, title: str, description: str, size: tuple[int, int]) -> AnyPanel:
    return panel.title(title).description(description).datasource(DATASOURCE).span(size[0]).height(size[1])


def _target(series: Series, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ascii_uppercase[index]).expr(series.query.expression)
    if series.query.step:
        target.interval(series.query.step)
    return target


def _states(words: Speech) -> ValueMap:
    """Words and colours of ownership."""
    return ValueMap(
        {state: ValueMappingResult(text=words.gettext(state), color=color) for state, color in STATES.items()}
    )


def timeseries(
    title: str,
    description: str,
    *series: Series,
    size: tuple[int, int] = (12, 8),
    stacked: bool = False,
    alert_above: float | None = None,
) -> lines.Panel:
    """Lines over time from 0 up, or areas on top of each other. A gap in the data stays one.

    A red line stands where an alert begins, if one does.
    """
    panel = _described(lines.Panel(), title, description, size).unit(series[0].query.unit).min(0)
    if series[0].query.unit == units.PercentUnit:
        panel.max(1)
    if alert_above is not None:
        panel.thresholds(
            dashboard.ThresholdsConfig().steps([Threshold(None, "transparent"), Threshold(alert_above, "red")])
        )
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(choices.GraphThresholdsStyleMode.DASHED))
    panel.legend(
        common.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(choices.LegendDisplayMode.TABLE)
        .placement(choices.LegendPlacement.BOTTOM)
        .calcs(["mean", "max", "lastNotNull"])
    )
    panel.show_points(choices.VisibilityMode.NEVER).tooltip(
        common.VizTooltipOptions().mode(choices.TooltipDisplayMode.MULTI).sort(choices.SortOrder.DESCENDING)
    )
    if stacked:
        panel.fill_opacity(40).line_width(0).stacking(common.StackingConfig().mode(choices.StackingMode.NORMAL))
    for index, each in enumerate(series):
        panel.with_target(_target(each, index).range().legend_format(each.name))
        if each.color:
            panel.override_by_name(each.name, [_fixed_color(each.color)])
    return panel


def figure(
    title: str, description: str, *series: Series, size: tuple[int, int] = (4, 4), alert_above: float | None = None
) -> stat.Panel:
    """One number, or one for each series; red where an alert begins, if one does."""
    panel = _described(stat.Panel(), title, description, size).unit(series[0].query.unit)
    panel.graph_mode(choices.BigValueGraphMode.NONE).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if series[0].query.unit == units.PercentUnit:
        panel.min(0).max(1)
    steps = [Threshold(None, "text")]
    if alert_above is not None:
        steps = [Threshold(None, "green"), Threshold(alert_above, "red")]
    panel.thresholds(dashboard.ThresholdsConfig().steps(steps))
    for index, each in enumerate(series):
        panel.with_target(_target(each, index).instant().legend_format(each.name))
        if each.color:
            panel.override_by_name(each.name, [_fixed_color(each.color)])
    return panel


def _fixed_color(color: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": FieldColorModeId.FIXED, "fixedColor": color})


def ranking(title: str, description: str, series: Series, size: tuple[int, int] = (12, 8)) -> bargauge.Panel:
    """Bars, in the order that the query yields."""
    panel = _described(bargauge.Panel(), title, description, size).unit(series.query.unit).min(0).decimals(1)
    panel.orientation(choices.VizOrientation.HORIZONTAL).display_mode(choices.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color("blue"))
    return panel.with_target(_target(series, 0).instant().legend_format(series.name))


def rows(
    title: str,
    description: str,
    labels: Sequence[str],
    *columns: Series,
    words: Speech,
    size: tuple[int, int] = (24, 10),
    hidden: Sequence[str] = ("gpu_uuid",),
    links: Mapping[str, str] | None = None,
    descending: str = "",
) -> table.Panel:
    """A table of the values now: a row for each set of labels, a column for each label and query.

    Args:
        title: Of the panel.
        description: Of the panel.
        labels: Those shown, in order.
        columns: Queries with headings; all with the same labels, or their rows do not meet.
        words: The language of the labels' headings.
        size: Width and height in the grid.
        hidden: Labels that keep rows apart but are not shown.
        links: By label, where a click on its value leads.
        descending: The heading of the column that orders the rows.
    """
    panel = _described(table.Panel(), title, description, size).filterable(filterable=True)
    names = {label: words.gettext(HEADINGS[label]) for label in labels}
    for index, column in enumerate(columns):
        target = _target(column, index).instant().format(PromQueryFormat.TABLE)
        panel.with_target(target)
        # Grafana names the value of a lone query without its letter.
        names[f"Value #{ascii_uppercase[index]}" if len(columns) > 1 else "Value"] = column.name
        panel.override_by_name(column.name, [DynamicConfigValue("unit", column.query.unit)])
    if "ownership" in labels:
        panel.override_by_name(names["ownership"], [DynamicConfigValue("mappings", [_states(words)])])
    for label, url in (links or {}).items():
        link = {"title": words.gettext("Open"), "url": url}
        panel.override_by_name(names[label], [DynamicConfigValue("links", [link])])
    if descending:
        panel.sort_by([common.TableSortByFieldState().display_name(descending).desc(desc=True)])
    shown = {
        "renameByName": names,
        "indexByName": {name: place for place, name in enumerate(names)},
        "excludeByName": dict.fromkeys(["Time", *hidden], True),
    }
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    if "gpu" in labels:  # 10 comes after 9, not after 1
        panel.with_transformation(_convert("gpu", "number"))
    return panel.with_transformation(DataTransformerConfig("organize", options=shown))


def _convert(field: str, kind: str) -> DataTransformerConfig:
    conversion = {"targetField": field, "destinationType": kind}
    return DataTransformerConfig("convertFieldType", options={"conversions": [conversion], "fields": {}})


def timeline(
    title: str, description: str, query: Query, words: Speech, size: tuple[int, int] = (24, 10)
) -> statetimeline.Panel:
    """One band for each value of the label `device`, coloured by the label `owner`.

    Prometheus knows no strings as values. So the series become a table of labels, and the table a matrix of
    time by device with the owner in its cells; an empty cell is null and stays a gap.
    """
    panel = _described(statetimeline.Panel(), title, description, size)
    panel.mappings([_states(words)]).color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel.merge_values(merge_values=True).show_value(choices.VisibilityMode.AUTO).row_height(0.85).line_width(0)
    panel.with_target(_target(Series(query), 0).range().format(PromQueryFormat.TABLE))
    by_device = {"rowField": "Time", "columnField": "device", "valueField": "owner", "emptyValue": "null"}
    time = r"Time\device"
    ascending = {"fields": {}, "sort": [{"field": time, "desc": False}]}
    return (
        panel.with_transformation(DataTransformerConfig("groupingToMatrix", options=by_device))
        .with_transformation(_convert(time, "time"))
        .with_transformation(DataTransformerConfig("sortBy", options=ascending))
    )
