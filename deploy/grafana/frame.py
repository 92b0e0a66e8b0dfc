"""What all dashboards have in common: variables, links, time range."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import (
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

TAG = "mi300x"
TO_NODE = "/d/mi300x-node?var-host=${__value.text}&${__url_time_range}"
TO_USER = "/d/mi300x-users?var-user=${__value.text}&${__url_time_range}"
_ALL = VariableOption(selected=True, text="All", value="$__all")


def framed(name: str, title: str, description: str) -> Dashboard:
    """An empty dashboard that is linked with the others."""
    others = DashboardLink("MI300X").type(DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(include_vars=True)
    return (
        Dashboard(title)
        .uid(f"mi300x-{name}")
        .description(description)
        .tags([TAG])
        .link(others.keep_time(keep_time=True))
        .timezone(TimeZoneBrowser)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )


def host(*, multi: bool) -> QueryVariable:
    """The nodes seen in the range shown: one, or any number."""
    variable = _of_label("host", "Host", "label_values(amdgpu_up, hostname)")
    return variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(_ALL) if multi else variable


def user() -> QueryVariable:
    """The users seen in the range shown; all of them never takes in the empty name of time nobody held."""
    values = _of_label("user", "User", 'label_values(amdgpu_owner_seconds_total{username!=""}, username)')
    return values.multi(multi=True).include_all(include_all=True).all_value(".+").current(_ALL)


def task_type() -> QueryVariable:
    """The task types seen in the range shown; a task may have none."""
    values = _of_label("task_type", "Task type", 'label_values(amdgpu_owner_seconds_total{task_type!=""}, task_type)')
    return values.multi(multi=True).include_all(include_all=True).all_value(".*").current(_ALL)


def price() -> TextBoxVariable:
    """What a GPU-hour costs."""
    return TextBoxVariable("price").label("Price of a GPU-hour").default_value("0")


def _of_label(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )
