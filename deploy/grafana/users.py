"""The dashboard Users and tasks: who is charged what, and what for."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import framed, host, price, task_type, to_node, user
from deploy.grafana.panels import Series, figure, ranking, rows, timeline, timeseries
from deploy.grafana.shared import held_by_user, idle_now
from exporter.speech import Speech

OF_USER = queries.OF_USER


def users(words: Speech) -> Dashboard:
    """Builds it."""
    _ = words.gettext
    board = framed(
        "users",
        _("MI300X users and tasks"),
        _(
            "GPU-hours by user and task type over the range shown. Booked time is never rebooked; what the consumption "
            "API tells later only the daily report corrects, so for a bill take the report."
        ),
        words,
    )
    for variable in (host(words, multi=True), user(words), task_type(words)):
        board.with_variable(variable)
    board.with_variable(price(words))
    _sums(board, words)
    _charges(board, words)
    _over_time(board, words)
    _tasks(board, words)
    return board


def _sums(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("In the range shown")))
    board.with_panel(
        figure(_("Owned"), _("GPU-hours; a shared GPU counts in parts."), Series(queries.held_hours("", OF_USER)))
    )
    board.with_panel(figure(_("Busy"), _("GPU-hours of work done."), Series(queries.busy_hours("", OF_USER))))
    board.with_panel(figure(_("Owned but idle"), _("GPU-hours without work."), Series(queries.idle_hours("", OF_USER))))
    board.with_panel(
        figure(
            _("Efficiency"),
            _("Busy over owned time, as far as observed."),
            Series(queries.efficiency_in_range("", OF_USER)),
        )
    )
    board.with_panel(figure(_("Energy"), _("As booked to users."), Series(queries.owner_energy("", OF_USER))))
    board.with_panel(figure(_("Cost"), _("GPU-hours owned times the price above."), Series(queries.cost("", OF_USER))))


def _charges(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    by = "username, task_type"
    board.with_panel(
        rows(
            _("GPU-hours, by user and task type"),
            _("What each user owned in the range shown. Time whose owner is unknown is in nobody's row."),
            ("username", "task_type"),
            Series(queries.held_hours(by, OF_USER), _("Owned")),
            Series(queries.busy_hours(by, OF_USER), _("Busy")),
            Series(queries.idle_hours(by, OF_USER), _("Owned but idle")),
            Series(queries.efficiency_in_range(by, OF_USER), _("Efficiency")),
            Series(queries.owner_energy(by, OF_USER), _("Energy")),
            Series(queries.cost(by, OF_USER), _("Cost")),
            words=words,
            size=(14, 10),
            hidden=(),
            descending=_("Owned"),
        )
    )
    board.with_panel(
        ranking(
            _("Most GPU-hours, by user"),
            _("Owned in the range shown."),
            Series(queries.ranked(queries.held_hours("username", OF_USER), 20), "{{username}}"),
            size=(10, 10),
        )
    )


def _over_time(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Over time")))
    board.with_panel(
        timeline(
            _("GPUs of these users"),
            _("Each GPU while one of them held it. Names joined by + share the GPU."),
            queries.OWNER_BY_HOST_AND_GPU,
            words,
        )
    )
    board.with_panel(held_by_user(words, queries.TASKS_OF_USER, size=(8, 8)))
    board.with_panel(
        timeseries(
            _("Efficiency, by user"),
            _("Busy over owned time, as far as observed."),
            Series(queries.efficiency("username", OF_USER), "{{username}}"),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            _("VRAM used, by user"),
            _("Used on the GPUs that each user owns; of a shared GPU a part."),
            Series(queries.vram_held(queries.TASKS_OF_USER), "{{username}}"),
            size=(8, 8),
            stacked=True,
        )
    )


def _tasks(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Tasks")))
    board.with_panel(
        rows(
            _("Tasks"),
            _("Those that run now, by GPU."),
            ("username", "task_type", "task_id", "hostname", "gpu", "gpu_id", "image", "project_uuid"),
            Series(queries.task_age(queries.TASKS_OF_USER), _("Running for")),
            words=words,
            links={"hostname": to_node(words)},
            descending=_("Running for"),
        )
    )
    board.with_panel(idle_now(words, OF_USER, ("username", "hostname", "gpu"), size=(24, 10)))
