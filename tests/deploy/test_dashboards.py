from __future__ import annotations

import itertools
import json
import re
from gettext import NullTranslations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models import units

from deploy.grafana.build import DIRECTORY, boards, files
from exporter.speech import SOURCE, Speech, speech
from tests.support.contract import labels_in, metrics_in, served
from tests.support.panels import PanelQuery, panels_of, queries_of

GRAFANA = DIRECTORY.parent
BOARDS = [json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*/*.json"))]
ENGLISH = boards(speech(SOURCE))
QUERIES = [query for board in ENGLISH.values() for query in queries_of(board)]
SHOWN = {"title", "description", "label", "legendFormat", "text", "displayName", "titleFormat"}
ALERTS = [
    rule["expr"]
    for group in yaml.safe_load((GRAFANA.parent / "prometheus" / "alerts.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
UNITS = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)}


def every_board(test: Any) -> Any:
    return pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])(test)


def every_query(test: Any) -> Any:
    return pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.dashboard}/{query.panel}")(test)


def test_the_committed_dashboards_are_what_the_code_makes() -> None:
    made = files()
    assert sorted(DIRECTORY.glob("*/*")) == sorted(made)
    for path, text in made.items():
        assert path.read_text() == text, f"{path}: run `python -m deploy.grafana`"


@every_query
def test_a_query_asks_only_for_what_the_exporter_serves(query: PanelQuery) -> None:
    series = served()
    metrics = metrics_in(query.expression)
    assert metrics
    assert metrics <= set(series)
    made = set(re.findall(r'"(device|owner)"', query.expression))
    known = frozenset[str]().union(*(series[metric] for metric in metrics))
    assert labels_in(query.expression) <= known | made | {"instance"}


@every_query
def test_a_query_never_adds_up_series_before_their_replicas_are_one(query: PanelQuery) -> None:
    sums = re.findall(r"\b(?:sum|count|avg)\b(?: by \([^)]*\))? ?\((.*)", query.expression)
    for inside in sums:
        assert inside.lstrip("(").startswith(("max by (", "sum by (", "count by (")), inside


@every_board
def test_every_panel_has_an_id_of_its_own(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert min(ids) > 0


@every_board
def test_shares_are_drawn_up_to_the_whole_and_every_curve_has_its_mean_and_highest_in_the_legend(
    board: dict[str, Any],
) -> None:
    for panel in panels_of(board):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["calcs"] == ["mean", "max", "lastNotNull"]
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["min"] == 0
            assert (defaults.get("max") == 1) == (defaults["unit"] == units.PercentUnit), panel["title"]


@every_board
def test_red_begins_where_an_alert_about_the_same_metric_does(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        metrics = set().union(*(metrics_in(target["expr"]) for target in panel["targets"]))
        for limit in [step["value"] for step in steps if step["color"] == "red"]:
            shown = "0" if limit < 1e-6 else f"{limit:g}"  # from the first one on
            about = [alert for alert in ALERTS if metrics & metrics_in(alert)]
            assert any(re.search(rf"> {shown}(?![\d.])", alert) for alert in about), (panel["title"], limit)


def test_every_limit_of_an_alert_about_a_gauge_is_drawn() -> None:
    drawn = {
        (board["title"], panel["title"])
        for board in ENGLISH.values()
        for panel in panels_of(board)
        if panel["type"] == "timeseries" and "thresholds" in panel["fieldConfig"]["defaults"]
    }
    assert drawn == {
        ("MI300X cluster", "Age of the sources"),
        ("MI300X cluster", "Throttling"),
        ("MI300X node", "VRAM used, by GPU"),
        ("MI300X node", "Throttling"),
        ("MI300X node", "Age of the sources"),
    }


@every_board
def test_restarts_are_marked_and_where_gpus_are_followed_changes_of_owner(board: dict[str, Any]) -> None:
    marked = [metrics_in(mark["expr"]) for mark in board["annotations"]["list"] if mark["enable"]]
    expected = [{"amdgpu_observed_seconds_total"}, {"amdgpu_utilization_ratio"}]
    assert marked == (expected if "-node" in board["uid"] else expected[:1])


@every_board
def test_links_lead_to_the_others_to_the_portal_and_to_its_reports(board: dict[str, Any]) -> None:
    links = {link.get("url") for link in board["links"] if link["type"] == "link"}
    assert links == {"$portal/", "$portal/reports/"}
    assert [link["includeVars"] for link in board["links"] if link["type"] == "dashboards"] == [True]
    assert [one["type"] for one in board["templating"]["list"] if one["name"] == "portal"] == ["constant"]


@every_board
def test_a_name_with_a_plus_reaches_the_dashboard_it_links_to(board: dict[str, Any]) -> None:
    addresses = re.findall(r"var-\w+=([^&\"]+)", json.dumps(board))
    assert set(addresses) <= {"${__value.text:percentencode}"}


@every_board
def test_panels_neither_overlap_nor_leave_the_grid(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)


@every_board
def test_no_row_of_panels_ends_before_the_right_edge(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        covered = [
            other["gridPos"]["w"]
            for other in board["panels"]
            if other["gridPos"]["y"] <= panel["gridPos"]["y"] < other["gridPos"]["y"] + other["gridPos"]["h"]
        ]
        assert sum(covered) == 24, panel["title"]


@every_board
def test_every_panel_has_title_description_unit_and_the_chosen_datasource(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        config = panel["fieldConfig"]
        chosen = [
            override["value"]
            for each in config["overrides"]
            for override in each["properties"]
            if override["id"] == "unit"
        ]
        chosen += [config["defaults"]["unit"]] if "unit" in config["defaults"] else []
        assert chosen or panel["type"] == "state-timeline"
        assert all(unit in UNITS or unit.startswith("suffix:") for unit in chosen)


def test_dashboards_of_both_languages_can_be_provisioned_together() -> None:
    uids = [board["uid"] for board in BOARDS]
    assert len(set(uids)) == len(uids) == 6
    for board in BOARDS:
        assert all(link["tags"] == board["tags"] for link in board["links"] if link["type"] == "dashboards")
        linked = set(re.findall(r'"/d/([^?"]+)', json.dumps(board)))
        assert linked <= {other["uid"] for other in BOARDS if other["tags"] == board["tags"]}


def words_of(node: Any, key: str = "") -> set[str]:
    match node:
        case dict():
            inner = node.items() if key != "renameByName" else (("title", value) for value in node.values())
            return set().union(*(words_of(value, name) for name, value in inner))
        case list():
            return set().union(*(words_of(value, key) for value in node))
        case str() if key in SHOWN and re.search(r"[a-z]", re.sub(r"\{\{.*?\}\}", "", node)):
            return {node}
        case _:
            return set()


class Marking(NullTranslations):
    """Shows what has gone through the catalogue."""

    def gettext(self, message: str) -> str:
        return f"«{message}»"


def test_every_word_shown_comes_from_the_catalogue() -> None:
    shown = words_of(boards(Speech(SOURCE, Marking())))
    assert len(shown) > 100
    assert {word for word in shown if not re.fullmatch("«[^«»]*»", word)} == set()


@every_board
def test_what_is_said_of_a_column_or_series_names_one_that_there_is(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        renamed = [step["options"].get("renameByName", {}).values() for step in panel.get("transformations", [])]
        names = {name for names in renamed for name in names}
        names |= {target.get("legendFormat") for target in panel["targets"]}
        assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= names
        assert {column["displayName"] for column in panel.get("options", {}).get("sortBy", [])} <= names


def test_provisioning_points_at_the_dashboards_and_the_datasource() -> None:
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/mi300x.yml").read_text())["providers"]
    assert {Path(each["options"]["path"]).name for each in provider} == {path.parent.name for path in files()}
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert source["type"] == "prometheus"
    assert re.fullmatch(r"\d+s", source["jsonData"]["timeInterval"])
