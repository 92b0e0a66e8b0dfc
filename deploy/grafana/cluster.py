"""The dashboard Cluster: who uses what now, who holds and idles, and how the nodes do."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import framed, host, to_node, to_user
from deploy.grafana.panels import ANY, Series, figure, ranking, rows, timeseries
from deploy.grafana.shared import gpus_now, gpus_over_time, held_by_user, idle_now, throttling
from exporter.speech import Speech


def cluster(words: Speech) -> Dashboard:
    """Builds it."""
    _ = words.gettext
    board = framed(
        "cluster",
        _("MI300X cluster"),
        _("Who uses which GPU, who holds one without using it, and how the nodes do."),
        words,
    )
    board.with_variable(host(words, multi=True))
    _now(board, words)
    _owners(board, words)
    _resources(board, words)
    _health(board, words)
    return board


def _now(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Now")))
    board.with_panel(gpus_now(words))
    board.with_panel(figure(_("Utilization"), _("Busy over observed time."), Series(queries.utilization(""))))
    board.with_panel(figure(_("VRAM free"), _("Of the GPUs that can be read."), Series(queries.vram_free(""))))
    board.with_panel(figure(_("Socket power"), _("Sum of the GPUs that can be read."), Series(queries.power(""))))
    board.with_panel(
        rows(
            _("Who uses what"),
            _("One row for each GPU that can be read."),
            ("hostname", "gpu", "username", "task_type", "ownership"),
            Series(queries.UTILIZATION_NOW, _("Utilization")),
            Series(queries.VRAM_NOW, _("VRAM used")),
            Series(queries.VRAM_RATIO_NOW, _("VRAM used, share")),
            words=words,
            links={"hostname": to_node(words), "username": to_user(words)},
        )
    )


def _owners(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    idle_by_user = queries.ranked(queries.idle_hours("username", queries.BY_ANYBODY), 15)
    board.with_row(Row(_("Owned but idle")))
    board.with_panel(
        ranking(
            _("Owned but idle, by user"),
            _("GPU-hours owned without work in the range shown, the highest first. A shared GPU counts in parts."),
            Series(idle_by_user, "{{username}}"),
            size=(10, 9),
        )
    )
    board.with_panel(idle_now(words, queries.BY_ANYBODY, ("hostname", "gpu", "username"), size=(14, 9)))
    board.with_panel(gpus_over_time(words))
    board.with_panel(held_by_user(words, queries.AT_HOST, size=(12, 8)))


def _resources(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Resources")))
    board.with_panel(
        timeseries(
            _("Utilization, by node"),
            _("Busy over observed time."),
            Series(queries.utilization("hostname"), "{{hostname}}"),
        )
    )
    board.with_panel(
        timeseries(
            _("VRAM headroom, by node"), _("VRAM not used."), Series(queries.vram_free("hostname"), "{{hostname}}")
        )
    )
    board.with_panel(
        timeseries(
            _("Socket power, by node"),
            _("Sum of the GPUs that can be read."),
            Series(queries.power("hostname"), "{{hostname}}"),
            stacked=True,
        )
    )
    board.with_panel(
        ranking(
            _("Energy, by node"),
            _("In the range shown, from the hardware's counters; gaps in the readings are included."),
            Series(queries.ranked(queries.energy("hostname"), 20), "{{hostname}}"),
        )
    )


def _health(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Health")))
    tall = 4, 6  # beside a curve with a legend
    board.with_panel(
        figure(_("Exporters"), _("Exporters that Prometheus reaches."), Series(queries.EXPORTERS), size=tall)
    )
    board.with_panel(
        figure(
            _("Silent nodes"),
            _("Nodes seen in the range shown, but not now."),
            Series(queries.SILENT_NODES),
            alert_above=ANY,
            size=tall,
        )
    )
    board.with_panel(
        figure(
            _("Unmatched GPUs"),
            _("GPUs that tasks name and their node does not have."),
            Series(queries.UNMATCHED),
            alert_above=ANY,
            size=tall,
        )
    )
    board.with_panel(
        figure(
            _("Malformed tasks"),
            _("Entries of the consumption API that cannot be accounted."),
            Series(queries.MALFORMED),
            alert_above=ANY,
            size=tall,
        )
    )
    board.with_panel(
        timeseries(
            _("Age of the sources"),
            _("Time since the last good reading and the last good answer of the consumption API, where it is longest."),
            Series(queries.age("devices"), _("GPU readings")),
            Series(queries.age("tasks"), _("Task ownership")),
            alert_above=300,
            size=(8, 6),
        )
    )
    board.with_panel(
        timeseries(
            _("Memory errors"),
            _("ECC errors by severity, counted in each step."),
            Series(queries.ECC_BY_SEVERITY, "{{severity}}"),
            size=(8, 8),
        )
    )
    board.with_panel(throttling(words))
    board.with_panel(
        timeseries(
            _("Failures"),
            _("Failed reads of GPUs by kind, and restarts of the reading process by reason, counted in each step."),
            Series(queries.events("device_errors", "kind"), "{{kind}}"),
            Series(queries.events("worker_restarts", "reason"), "{{reason}}"),
            size=(8, 8),
        )
    )
