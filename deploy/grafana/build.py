"""The dashboards as Grafana reads them: JSON files, one folder for each language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.cluster import cluster
from deploy.grafana.marks import marks
from deploy.grafana.node import node
from deploy.grafana.users import users
from exporter.speech import Speech, languages, speech

DASHBOARDS = {"cluster": cluster, "node": node, "users": users}
DIRECTORY = Path(__file__).parent / "dashboards"


def boards(words: Speech) -> dict[str, Any]:
    """The three dashboards by name, in one language, as decoded JSON."""
    made = {name: json.loads(JSONEncoder().encode(build(words).build())) for name, build in DASHBOARDS.items()}
    for name, board in made.items():
        board["annotations"] = {"list": marks(name, words)}
        for number, panel in enumerate(board["panels"], start=1):
            panel["id"] = number  # Grafana links to panels, and remembers them, by it
    return made


def files() -> dict[Path, str]:
    """What dashboards/ holds."""
    return {
        DIRECTORY / language / f"{name}.json": json.dumps(board, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        for language in languages()
        for name, board in boards(speech(language)).items()
    }
