"""The dashboards as Grafana reads them: JSON files, one folder for each language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.cluster import cluster
from deploy.grafana.node import node
from deploy.grafana.users import users
from deploy.grafana.zh_tw import WORDS

DASHBOARDS = {"cluster": cluster, "node": node, "users": users}
DIRECTORY = Path(__file__).parent / "dashboards"


def english() -> dict[str, Any]:
    """The three dashboards by name, as decoded JSON."""
    return {name: json.loads(JSONEncoder().encode(build().build())) for name, build in DASHBOARDS.items()}


def translated(node: Any) -> Any:
    """The same with each string that has a translation replaced; keys, and so Grafana's own words, stay."""
    match node:
        case dict():
            return {key: translated(value) for key, value in node.items()}
        case list():
            return [translated(value) for value in node]
        case str():
            return WORDS.get(node, node)
        case _:
            return node


def files() -> dict[Path, str]:
    """What dashboards/ holds."""
    boards = english()
    languages = {"en": boards, "zh-TW": translated(boards)}
    return {
        DIRECTORY / language / f"{name}.json": json.dumps(board, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        for language, boards in languages.items()
        for name, board in boards.items()
    }
