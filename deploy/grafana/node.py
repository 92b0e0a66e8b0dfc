"""The dashboard Node: its GPUs over time, their owners and tasks, and its exporter."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import framed, host, to_user
from deploy.grafana.panels import Series, figure, rows, timeline, timeseries
from deploy.grafana.shared import gpus_now, throttling
from exporter.speech import Speech

GPU = "GPU {{gpu}}"


def node(words: Speech) -> Dashboard:
    """Builds it."""
    _ = words.gettext
    board = framed("node", _("MI300X node"), _("One node: its GPUs, whose they are, and how they do."), words)
    board.with_variable(host(words, multi=False))
    _now(board, words)
    _use(board, words)
    _hardware(board, words)
    _exporter(board, words)
    return board


def _now(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Now")))
    board.with_panel(gpus_now(words))
    board.with_panel(figure(_("Utilization"), _("Busy over observed time."), Series(queries.utilization(""))))
    board.with_panel(figure(_("VRAM used"), _("Of the GPUs that can be read."), Series(queries.vram_used_ratio(""))))
    board.with_panel(figure(_("Socket power"), _("Sum of the GPUs that can be read."), Series(queries.power(""))))
    board.with_panel(
        timeline(
            _("Owners"),
            _("Whose each GPU was. A gap: no data. Names joined by + share the GPU."),
            queries.OWNER_BY_GPU,
            words,
        )
    )
    board.with_panel(
        rows(
            _("Tasks"),
            _("Those that run now."),
            ("gpu", "gpu_id", "username", "task_type", "task_id", "image", "project_uuid"),
            Series(queries.task_age(queries.AT_HOST), _("Running for")),
            words=words,
            size=(24, 8),
            hidden=("hostname", "gpu_uuid"),
            links={"username": to_user(words)},
        )
    )


def _use(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Use")))
    board.with_panel(
        timeseries(
            _("Utilization, by GPU"), _("Busy over observed time."), Series(queries.utilization(queries.GPU), GPU)
        )
    )
    board.with_panel(
        timeseries(
            _("VRAM used, by GPU"),
            _("Share of its VRAM."),
            Series(queries.vram_used_ratio(queries.GPU), GPU),
            alert_above=0.95,
        )
    )
    board.with_panel(
        timeseries(
            _("Memory controller, by GPU"),
            _("Share of the time in which the memory was read or written."),
            Series(queries.MEMORY_CONTROLLER, GPU),
        )
    )
    board.with_panel(
        timeseries(
            _("XGMI, by GPU"),
            _("Over all links of the GPU."),
            Series(queries.xgmi("read"), _("GPU {{gpu}} read")),
            Series(queries.xgmi("written"), _("GPU {{gpu}} written")),
        )
    )


def _hardware(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Hardware")))
    board.with_panel(
        timeseries(
            _("Socket power, by GPU"),
            _("Of the whole package."),
            Series(queries.power(queries.GPU), GPU),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            _("Core clock, by GPU"), _("Mean of the compute dies."), Series(queries.clock("gfx"), GPU), size=(8, 8)
        )
    )
    board.with_panel(
        timeseries(_("Memory clock, by GPU"), _("Of the HBM."), Series(queries.clock("memory"), GPU), size=(8, 8))
    )
    for sensor, title in (
        ("hotspot", _("Hotspot, by GPU")),
        ("memory", _("Memory temperature, by GPU")),
        ("vrsoc", _("Voltage regulator temperature, by GPU")),
    ):
        board.with_panel(
            timeseries(
                title, _("Read from the GPU's own sensor."), Series(queries.temperature(sensor), GPU), size=(8, 8)
            )
        )
    board.with_panel(throttling(words))
    board.with_panel(
        rows(
            _("Errors, by GPU"),
            _("Counted in the range shown; retired pages in total."),
            ("gpu",),
            Series(queries.ecc_errors("correctable"), _("ECC correctable")),
            Series(queries.ecc_errors("uncorrectable"), _("ECC uncorrectable")),
            Series(queries.ecc_errors("deferred"), _("ECC deferred")),
            Series(queries.RETIRED_PAGES, _("Retired pages")),
            Series(queries.PCIE_REPLAYS, _("PCIe replays")),
            words=words,
            size=(16, 8),
            hidden=("hostname", "gpu_uuid"),
        )
    )
    board.with_panel(
        rows(
            _("Identity"),
            _("What each GPU is, and whether it can be read now."),
            (
                "gpu",
                "gpu_uuid",
                "model",
                "bdf",
                "card",
                "driver_version",
                "vbios_version",
                "compute_partition",
                "memory_partition",
            ),
            Series(queries.READABLE, _("Readable")),
            words=words,
            size=(24, 8),
            hidden=("hostname",),
        )
    )


def _exporter(board: Dashboard, words: Speech) -> None:
    _ = words.gettext
    board.with_row(Row(_("Exporter")))
    board.with_panel(
        timeseries(
            _("Age of the sources"),
            _("Time since the last good reading and the last good answer of the consumption API."),
            Series(queries.age("devices"), _("GPU readings")),
            Series(queries.age("tasks"), _("Task ownership")),
            Series(queries.UNBOOKED, _("not yet booked")),
            alert_above=300,
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            _("Duration of reads and refreshes"),
            _("99th percentile: of reading one GPU, and of asking the consumption API."),
            Series(queries.duration("device_read"), _("read")),
            Series(queries.duration("task_refresh"), _("refresh")),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            _("Refreshes and failures"),
            _("Answers of the consumption API by result, and failed reads by kind, counted in each step."),
            Series(queries.events("task_refreshes", "result"), "{{result}}"),
            Series(queries.events("device_errors", "kind"), "{{kind}}"),
            size=(8, 8),
        )
    )
