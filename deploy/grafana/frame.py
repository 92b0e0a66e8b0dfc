"""What all dashboards have in common: variables, links, time range."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    ConstantVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.common import TimeZoneBrowser
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.panels import DATASOURCE
from exporter.grafana import uid
from exporter.speech import SOURCE, Speech

PORTAL: Final = "https://gpu.example.org"
"""Where `exporter portal` is served, as the committed dashboards have it; a site puts its own there."""
_VALUE: Final = "${__value.text:percentencode}"  # a `+` in an address is a space


def framed(name: str, title: str, description: str, words: Speech) -> Dashboard:
    """An empty dashboard that is linked with the others of its language."""
    tag = f"mi300x{_suffix(words)}"
    others = DashboardLink("MI300X").type(DashboardLinkType.DASHBOARDS).tags([tag]).include_vars(include_vars=True)
    return (
        Dashboard(title)
        .uid(uid(name, words))
        .description(description)
        .tags([tag])
        .link(others.keep_time(keep_time=True))
        .link(_address(words.gettext("Portal"), "$portal/"))
        .link(_address(words.gettext("Reports"), "$portal/reports/"))
        .timezone(TimeZoneBrowser)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(DatasourceVariable("datasource").label(words.gettext("Data source")).type("prometheus"))
        .with_variable(ConstantVariable("portal").value(PORTAL))
    )


def to_node(words: Speech) -> str:
    """Where a click on a node leads."""
    return f"/d/{uid('node', words)}?var-host={_VALUE}&${{__url_time_range}}"


def to_user(words: Speech) -> str:
    """Where a click on a user leads."""
    return f"/d/{uid('users', words)}?var-user={_VALUE}&${{__url_time_range}}"


def host(words: Speech, *, multi: bool) -> QueryVariable:
    """The nodes seen in the range shown: one, or any number."""
    variable = _of_label("host", words.gettext("Node"), "label_values(amdgpu_up, hostname)")
    return _any_number(variable, ".*", words) if multi else variable


def user(words: Speech) -> QueryVariable:
    """The users seen in the range shown; all of them never takes in the empty name of time nobody held."""
    values = _of_label(
        "user", words.gettext("User"), 'label_values(amdgpu_owner_seconds_total{username!=""}, username)'
    )
    return _any_number(values, ".+", words)


def task_type(words: Speech) -> QueryVariable:
    """The task types seen in the range shown; a task may have none."""
    query = 'label_values(amdgpu_owner_seconds_total{task_type!=""}, task_type)'
    return _any_number(_of_label("task_type", words.gettext("Task type"), query), ".*", words)


def price(words: Speech) -> TextBoxVariable:
    """What a GPU-hour costs."""
    return TextBoxVariable("price").label(words.gettext("Price of a GPU-hour")).default_value("0")


def _address(title: str, url: str) -> DashboardLink:
    return (
        DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon("external link").target_blank(target_blank=True)
    )


def _suffix(words: Speech) -> str:
    return "" if words.language == SOURCE else f"-{words.language}"


def _any_number(variable: QueryVariable, pattern: str, words: Speech) -> QueryVariable:
    every = VariableOption(selected=True, text=words.gettext("All"), value="$__all")
    return variable.multi(multi=True).include_all(include_all=True).all_value(pattern).current(every)


def _of_label(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )
