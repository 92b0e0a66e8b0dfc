"""The dashboard Users and tasks: who is charged what, and what for."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import TO_NODE, framed, host, price, task_type, user
from deploy.grafana.panels import Series, figure, ranking, rows, timeline, timeseries
from deploy.grafana.shared import held_by_user, idle_now

OF_USER = queries.OF_USER


def users() -> Dashboard:
    """Builds it."""
    board = framed(
        "users",
        "MI300X users and tasks",
        "GPU-hours by user and task type over the range shown. Booked time is never rebooked; what the consumption API "
        "tells later only the daily report corrects, so for a bill take the report.",
    )
    for variable in (host(multi=True), user(), task_type()):
        board.with_variable(variable)
    board.with_variable(price())
    _sums(board)
    _charges(board)
    _over_time(board)
    _tasks(board)
    return board


def _sums(board: Dashboard) -> None:
    board.with_row(Row("In the range shown"))
    board.with_panel(
        figure("Held", "GPU-hours; a shared GPU counts in parts.", Series(queries.held_hours("", OF_USER)))
    )
    board.with_panel(figure("Worked", "GPU-hours of work.", Series(queries.busy_hours("", OF_USER))))
    board.with_panel(figure("Held and idle", "GPU-hours without work.", Series(queries.idle_hours("", OF_USER))))
    board.with_panel(figure("Efficiency", "Work over time held.", Series(queries.efficiency_in_range("", OF_USER))))
    board.with_panel(figure("Energy", "As booked to users.", Series(queries.owner_energy("", OF_USER))))
    board.with_panel(figure("Cost", "GPU-hours held times the price above.", Series(queries.cost("", OF_USER))))


def _charges(board: Dashboard) -> None:
    by = "username, task_type"
    board.with_panel(
        rows(
            "GPU-hours, by user and task type",
            "What each user held in the range shown. Time whose owner is unknown is in nobody's row.",
            ("username", "task_type"),
            Series(queries.held_hours(by, OF_USER), "Held"),
            Series(queries.busy_hours(by, OF_USER), "Worked"),
            Series(queries.idle_hours(by, OF_USER), "Held and idle"),
            Series(queries.efficiency_in_range(by, OF_USER), "Efficiency"),
            Series(queries.owner_energy(by, OF_USER), "Energy"),
            Series(queries.cost(by, OF_USER), "Cost"),
            size=(14, 10),
            hidden=(),
            descending="Held",
        )
    )
    board.with_panel(
        ranking(
            "Most GPU-hours, by user",
            "Held in the range shown.",
            Series(queries.ranked(queries.held_hours("username", OF_USER), 20), "{{username}}"),
            size=(10, 10),
        )
    )


def _over_time(board: Dashboard) -> None:
    board.with_row(Row("Over time"))
    board.with_panel(
        timeline(
            "GPUs of these users",
            "Each GPU while one of them held it. Names joined by + share the GPU.",
            queries.OWNER_BY_HOST_AND_GPU,
        )
    )
    board.with_panel(held_by_user(queries.TASKS_OF_USER, size=(8, 8)))
    board.with_panel(
        timeseries(
            "Efficiency, by user",
            "Work over time held.",
            Series(queries.efficiency("username", OF_USER), "{{username}}"),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            "VRAM held, by user",
            "Used on the GPUs that each user holds; of a shared GPU a part.",
            Series(queries.vram_held(queries.TASKS_OF_USER), "{{username}}"),
            size=(8, 8),
            stacked=True,
        )
    )


def _tasks(board: Dashboard) -> None:
    board.with_row(Row("Tasks"))
    board.with_panel(
        rows(
            "Tasks",
            "Those that run now, by GPU.",
            ("username", "task_type", "task_id", "hostname", "gpu", "gpu_id", "image", "project_uuid"),
            Series(queries.task_age(queries.TASKS_OF_USER), "Running for"),
            links={"hostname": TO_NODE},
            descending="Running for",
        )
    )
    board.with_panel(idle_now(OF_USER, ("username", "hostname", "gpu"), size=(24, 10)))
