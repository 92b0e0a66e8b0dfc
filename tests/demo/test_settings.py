from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import config
from exporter.demo.cluster import Cluster
from exporter.demo.settings import demo_settings, write_settings
from exporter.errors import ConfigError

CLUSTER = Cluster(2, 4)
GIVEN: dict[str, Any] = {
    "hostname": "ours",
    "tasks": {"url": "https://management.example", "token_file": "/etc/ours"},
    "prometheus": {"url": "https://prometheus.example", "headers": {"X-Scope-OrgID": "ours"}},
    "report": {
        "timezone": "Asia/Taipei",
        "language": "zh-TW",
        "directory": "/var/lib/ours",
        "cache": "/var/cache/ours",
        "nodes": {"gpu99": 8},
        "min_coverage": 0.5,
        "prices": [{"user": "itrd", "per_gpu_hour": 3.5}],
        "currency": "USD",
        "budgets": {"itrd": {"cost": 10.0}},
        "pue": 1.4,
    },
}


def written(folder: Path, given: dict[str, Any] | None) -> tuple[Path, config.Config]:
    user = config.parse(given, where="test") if given is not None else None
    return write_settings(folder, "http://127.0.0.1:1", "http://127.0.0.1:2", "secret", demo_settings(user, CLUSTER))


def test_what_the_users_config_says_of_reports_is_followed(tmp_path: Path) -> None:
    _, settings = written(tmp_path, GIVEN)
    ours = config.parse(GIVEN, where="test").report
    for name in ("timezone", "language", "min_coverage", "prices", "currency", "budgets", "pue"):
        assert getattr(settings.report, name) == getattr(ours, name), name


def test_neither_the_users_servers_nor_his_folders_nor_his_nodes_are(tmp_path: Path) -> None:
    file, settings = written(tmp_path, GIVEN)
    for theirs in ("example", "ours", "gpu99"):
        assert theirs not in file.read_text()
    assert settings.report.directory == tmp_path / "reports"
    assert settings.report.nodes == {"colab-gpu1": 4, "colab-gpu2": 4}
    assert (settings.prometheus.url, settings.tasks.url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_the_clusters_projects_have_names_unless_the_user_gives_his(tmp_path: Path) -> None:
    uuids = {task.project_uuid for task in CLUSTER.tasks(1753056000, 1753056000 + 7 * 86400)}
    assert uuids <= written(tmp_path, None)[1].report.projects.keys()
    named = {"report": {"projects": {"3f2a": "Vision"}}}
    assert written(tmp_path, named)[1].report.projects == {"3f2a": "Vision"}


def test_prices_are_made_up_only_where_no_config_is_given(tmp_path: Path) -> None:
    assert written(tmp_path, None)[1].report.has_prices
    assert not written(tmp_path, {})[1].report.has_prices


def test_the_file_is_the_config_that_is_used_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, settings = written(Path("demo"), GIVEN)
    monkeypatch.chdir("/")
    assert config.load(file) == settings
    assert settings.tasks.token_file is not None
    assert settings.tasks.token_file.read_text() == "secret"
    assert settings.tasks.token_file.stat().st_mode & 0o077 == 0
    assert "secret" not in yaml.safe_dump(yaml.safe_load(file.read_text()))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo").touch()
    with pytest.raises(ConfigError, match=str(tmp_path / "demo")):
        written(tmp_path / "demo", None)
