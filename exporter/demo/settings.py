"""The demo's settings: what the user's config says of reports, and where the demo's own servers are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from exporter import config
from exporter.config import Config
from exporter.demo.cluster import Cluster
from exporter.errors import ConfigError

_KEPT = {
    *("timezone", "language", "min_coverage", "pue"),
    *("prices", "price_per_gpu_hour", "currency", "projects", "budgets"),
}
"""All of `report` that a made-up cluster can follow; its nodes, folders and deliveries are not the user's."""

MADE_UP: Mapping[str, Any] = {
    "currency": "TWD",
    "prices": [{"task_type": "LAB", "per_gpu_hour": 60.0, "idle_per_gpu_hour": 90.0}],
    "price_per_gpu_hour": 80.0,
    "budgets": {"itrd": {"gpu_hours": 3000.0}, "nycubme": {"cost": 250_000.0}},
}
"""Of `report`, where no config is given."""


def demo_settings(given: Config | None, cluster: Cluster) -> dict[str, Any]:
    """Returns the section `report` of the demo's config.

    Args:
        given: The user's config; None: he named none.
        cluster: What is reported.
    """
    if given is None:
        kept = dict(MADE_UP)
    else:
        kept = given.report.model_dump(mode="json", include=_KEPT, exclude_defaults=True)
    kept["projects"] = kept.get("projects") or cluster.projects()
    kept["nodes"] = {name: len(hardware.gpus) for name, hardware in cluster.nodes.items()}
    return kept


def write_settings(
    folder: Path, prometheus: str, api: str, token: str, report: Mapping[str, Any]
) -> tuple[Path, Config]:
    """Writes the config that reports of the demo are made with, and the token it names, into a folder.

    Args:
        folder: Made if need be.
        prometheus: The URL of the demo's Prometheus.
        api: The URL of its stand-in for the consumption API.
        token: The one that it accepts.
        report: The section `report`, without its folder.

    Returns:
        The config's file, and the config.

    Raises:
        ConfigError: The file cannot be written.
    """
    folder = folder.resolve()
    token_file, file = folder / "token", folder / "config.yaml"
    settings = {
        "tasks": {"url": api, "token_file": str(token_file)},
        "prometheus": {"url": prometheus},
        "report": {"directory": str(folder / "reports"), **report},
        "portal": {"port": 0},
    }
    text = "# Of `exporter demo`, while it runs: the ports of its servers are others each time.\n"
    text += yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token_file.touch(mode=0o600)
        token_file.write_text(token, encoding="utf-8")
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from error
    return file, config.load(file)
