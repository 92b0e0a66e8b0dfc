"""The dashboard Cluster: who uses what now, who holds and idles, and how the nodes do."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import TO_NODE, TO_USER, framed, host
from deploy.grafana.panels import Series, figure, ranking, rows, timeseries
from deploy.grafana.shared import gpus_now, gpus_over_time, held_by_user, idle_now, throttling


def cluster() -> Dashboard:
    """Builds it."""
    board = framed(
        "cluster", "MI300X cluster", "Who uses which GPU, who holds one without using it, and how the nodes do."
    )
    board.with_variable(host(multi=True))
    _now(board)
    _owners(board)
    _resources(board)
    _health(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(gpus_now())
    board.with_panel(figure("Utilization", "Busy over observed time.", Series(queries.utilization(""))))
    board.with_panel(figure("VRAM free", "Of the GPUs that can be read.", Series(queries.vram_free(""))))
    board.with_panel(figure("Power", "Of the GPUs' sockets.", Series(queries.power(""))))
    board.with_panel(
        rows(
            "Who uses what",
            "One row for each GPU that can be read.",
            ("hostname", "gpu", "username", "task_type", "ownership"),
            Series(queries.UTILIZATION_NOW, "Utilization"),
            Series(queries.VRAM_NOW, "VRAM used"),
            Series(queries.VRAM_RATIO_NOW, "VRAM used, share"),
            links={"hostname": TO_NODE, "username": TO_USER},
        )
    )


def _owners(board: Dashboard) -> None:
    idle_by_user = queries.ranked(queries.idle_hours("username", queries.BY_ANYBODY), 15)
    board.with_row(Row("Held and idle"))
    board.with_panel(
        ranking(
            "Held and idle, by user",
            "GPU-hours held without work in the range shown, the highest first. A shared GPU counts in parts.",
            Series(idle_by_user, "{{username}}"),
            size=(10, 9),
        )
    )
    board.with_panel(idle_now(queries.BY_ANYBODY, ("hostname", "gpu", "username"), size=(14, 9)))
    board.with_panel(gpus_over_time())
    board.with_panel(held_by_user(queries.AT_HOST, size=(12, 8)))


def _resources(board: Dashboard) -> None:
    board.with_row(Row("Resources"))
    board.with_panel(
        timeseries(
            "Utilization, by node", "Busy over observed time.", Series(queries.utilization("hostname"), "{{hostname}}")
        )
    )
    board.with_panel(
        timeseries("VRAM headroom, by node", "VRAM not used.", Series(queries.vram_free("hostname"), "{{hostname}}"))
    )
    board.with_panel(
        timeseries(
            "Power, by node", "Of the GPUs' sockets.", Series(queries.power("hostname"), "{{hostname}}"), stacked=True
        )
    )
    board.with_panel(
        ranking(
            "Energy, by node",
            "In the range shown, from the hardware's counters; gaps in the readings are included.",
            Series(queries.ranked(queries.energy("hostname"), 20), "{{hostname}}"),
        )
    )


def _health(board: Dashboard) -> None:
    board.with_row(Row("Health"))
    board.with_panel(figure("Exporters", "Exporters that Prometheus reaches.", Series(queries.EXPORTERS)))
    board.with_panel(
        figure(
            "Silent nodes", "Nodes seen in the range shown, but not now.", Series(queries.SILENT_NODES), alarming=True
        )
    )
    board.with_panel(
        figure(
            "Unmatched GPUs",
            "GPUs that tasks name and their node does not have.",
            Series(queries.UNMATCHED),
            alarming=True,
        )
    )
    board.with_panel(
        figure(
            "Malformed tasks",
            "Entries of the consumption API that cannot be accounted.",
            Series(queries.MALFORMED),
            alarming=True,
        )
    )
    board.with_panel(
        timeseries(
            "Age of the sources",
            "Time since the last good reading, and the last good answer of the consumption API, where it is longest.",
            Series(queries.age("devices"), "readings"),
            Series(queries.age("tasks"), "ownership"),
            size=(8, 4),
        )
    )
    board.with_panel(
        timeseries(
            "Errors of memory",
            "ECC errors by severity, counted in each step.",
            Series(queries.ECC_BY_SEVERITY, "{{severity}}"),
            size=(8, 8),
        )
    )
    board.with_panel(throttling())
    board.with_panel(
        timeseries(
            "Failures",
            "Failed reads of GPUs by kind, and restarts of the reading process by reason, counted in each step.",
            Series(queries.events("device_errors", "kind"), "{{kind}}"),
            Series(queries.events("worker_restarts", "reason"), "{{reason}}"),
            size=(8, 8),
        )
    )
