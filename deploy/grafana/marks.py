"""What is marked across all panels: restarts of exporters, and GPUs that change hands."""

from __future__ import annotations

from typing import Any, Final

from deploy.grafana import queries
from exporter.speech import Speech

STEP: Final = "5m"
"""The shortest, of both queries; Grafana asks for a hundred points at most."""


def marks(dashboard: str, words: Speech) -> list[dict[str, Any]]:
    """The annotations of a dashboard, as Grafana reads them; the SDK has no titles for them."""
    _ = words.gettext
    restarts = _annotation(_("Restarts"), queries.RESTARTS, _("Exporter restarted"), "{{hostname}}", "orange")
    changes = _annotation(
        _("Changes of owner"), queries.OWNER_CHANGES, _("New owner"), "{{hostname}} GPU {{gpu}}: {{username}}", "blue"
    )
    return [restarts, changes] if dashboard == "node" else [restarts]


def _annotation(name: str, expression: str, title: str, text: str, color: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "iconColor": color,
        "expr": expression,
        "step": STEP,
        "titleFormat": title,
        "textFormat": text,
    }
