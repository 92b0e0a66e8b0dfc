"""What Grafana does with a dashboard, as far as Prometheus sees it: its queries, and the variables put into them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

DURATIONS = {"1m": 60.0, "5m": 300.0}

Points = dict[frozenset[tuple[str, str]], list[tuple[float, float]]]
"""Time and value of each sample, by the series' labels."""


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel."""

    dashboard: str
    panel: str
    expression: str
    instant: bool
    min_step: float | None

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel}: {self.expression}"


@dataclass(frozen=True, slots=True)
class View:
    """A dashboard as it is being looked at."""

    start: float
    end: float
    scrape_interval: float
    variables: Mapping[str, str]
    width: int = 1000
    """Of a panel, in pixels: Grafana asks for as many points at most."""

    def step(self, query: PanelQuery) -> float:
        """Seconds between two points."""
        return max(math.ceil((self.end - self.start) / self.width), query.min_step or self.scrape_interval)

    def expression(self, query: PanelQuery) -> str:
        """The query with all variables put in."""
        least = query.min_step or self.scrape_interval
        step = self.step(query)
        values = {
            **self.variables,
            "__interval": f"{round(step)}s",
            "__range": f"{round(self.end - self.start)}s",
            # https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
            "__rate_interval": f"{round(max(step + least, 4 * least))}s",
        }
        text = query.expression
        for name, value in values.items():
            text = text.replace(f"${name}", value)
        return text


def panels_of(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels but the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(dashboard: Mapping[str, Any]) -> Iterator[PanelQuery]:
    """The queries of all panels, and of the annotations."""
    for annotation in dashboard["annotations"]["list"]:
        step = DURATIONS[annotation["step"]]
        yield PanelQuery(dashboard["title"], annotation["name"], annotation["expr"], instant=False, min_step=step)
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            yield PanelQuery(
                dashboard["title"],
                panel["title"],
                target["expr"],
                instant=target["instant"],
                min_step=DURATIONS[target["interval"]] if "interval" in target else None,
            )


async def ask(prometheus: str, query: PanelQuery, view: View, limit: str = "1s") -> Points:
    """Runs a query as Grafana would; Prometheus itself gives up on one that takes longer than the limit.

    Raises:
        AssertionError: It is refused, or took too long.
    """
    parameters = {"query": view.expression(query), "timeout": limit}
    if query.instant:
        path, parameters["time"] = "query", str(view.end)
    else:
        step = view.step(query)
        parameters |= {"start": str(view.start), "end": str(view.end), "step": str(step)}
        path = "query_range"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{prometheus}/api/v1/{path}", data=parameters) as response,
    ):
        answer = await response.json()
    assert answer["status"] == "success", f"{query}\n{answer['error']}"
    return {
        frozenset(series["metric"].items()): [
            (time, float(value)) for time, value in series.get("values", [series.get("value")])
        ]
        for series in answer["data"]["result"]
    }


async def label_values(prometheus: str, query: str, view: View) -> list[str]:
    """What a variable offers that is made of `label_values(series, label)`."""
    series, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
    window = {"match[]": series, "start": str(view.start), "end": str(view.end)}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{prometheus}/api/v1/label/{label}/values", params=window) as response,
    ):
        answer = await response.json()
    values: list[str] = answer["data"]
    return values
