"""Addresses of the dashboards of deploy/grafana."""

from __future__ import annotations

from urllib.parse import urlencode

from exporter.speech import SOURCE, Speech


def uid(name: str, words: Speech) -> str:
    """Returns a dashboard's id in a language, which its address has."""
    suffix = "" if words.language == SOURCE else f"-{words.language.lower()}"
    return f"mi300x-{name}{suffix}"


def dashboard(grafana: str | None, name: str, words: Speech, **variables: str) -> str | None:
    """Returns the address of a dashboard; None where there is no Grafana.

    Args:
        grafana: The config's `portal.grafana_url`.
        name: Of the dashboard: cluster, node or users.
        words: The language.
        variables: What is chosen there.
    """
    if grafana is None:
        return None
    chosen = urlencode({f"var-{name}": value for name, value in variables.items()})
    return f"{grafana}/d/{uid(name, words)}{'?' if chosen else ''}{chosen}"
