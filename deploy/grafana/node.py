"""The dashboard Node: its GPUs over time, their owners and tasks, and its exporter."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana import queries
from deploy.grafana.frame import TO_USER, framed, host
from deploy.grafana.panels import Series, figure, rows, timeline, timeseries
from deploy.grafana.shared import gpus_now, throttling

GPU = "GPU {{gpu}}"


def node() -> Dashboard:
    """Builds it."""
    board = framed("node", "MI300X node", "One node: its GPUs, whose they are, and how they do.")
    board.with_variable(host(multi=False))
    _now(board)
    _use(board)
    _hardware(board)
    _exporter(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(gpus_now())
    board.with_panel(figure("Utilization", "Busy over observed time.", Series(queries.utilization(""))))
    board.with_panel(figure("VRAM used", "Of the GPUs that can be read.", Series(queries.vram_used_ratio(""))))
    board.with_panel(figure("Power", "Of the GPUs' sockets.", Series(queries.power(""))))
    board.with_panel(
        timeline(
            "Owners",
            "Whose each GPU was. A gap: no data. Names joined by + share the GPU.",
            queries.OWNER_BY_GPU,
        )
    )
    board.with_panel(
        rows(
            "Tasks",
            "Those that run now.",
            ("gpu", "gpu_id", "username", "task_type", "task_id", "image", "project_uuid"),
            Series(queries.task_age(queries.AT_HOST), "Running for"),
            size=(24, 8),
            hidden=("hostname", "gpu_uuid"),
            links={"username": TO_USER},
        )
    )


def _use(board: Dashboard) -> None:
    board.with_row(Row("Use"))
    board.with_panel(
        timeseries("Utilization, by GPU", "Busy over observed time.", Series(queries.utilization(queries.GPU), GPU))
    )
    board.with_panel(
        timeseries("VRAM used, by GPU", "Share of its VRAM.", Series(queries.vram_used_ratio(queries.GPU), GPU))
    )
    board.with_panel(
        timeseries(
            "Memory controller, by GPU",
            "Share of the time in which the memory was read or written.",
            Series(queries.MEMORY_CONTROLLER, GPU),
        )
    )
    board.with_panel(
        timeseries(
            "XGMI, by GPU",
            "Over all links of the GPU.",
            Series(queries.xgmi("read"), "GPU {{gpu}} read"),
            Series(queries.xgmi("written"), "GPU {{gpu}} written"),
        )
    )


def _hardware(board: Dashboard) -> None:
    board.with_row(Row("Hardware"))
    board.with_panel(
        timeseries("Power, by GPU", "Of the socket.", Series(queries.power(queries.GPU), GPU), size=(8, 8))
    )
    board.with_panel(
        timeseries("Core clock, by GPU", "Mean of the compute dies.", Series(queries.clock("gfx"), GPU), size=(8, 8))
    )
    board.with_panel(
        timeseries("Memory clock, by GPU", "Of the HBM.", Series(queries.clock("memory"), GPU), size=(8, 8))
    )
    for sensor, title in (
        ("hotspot", "Temperature, hottest spot"),
        ("memory", "Temperature, memory"),
        ("vrsoc", "Temperature, voltage regulator"),
    ):
        board.with_panel(timeseries(title, "By GPU.", Series(queries.temperature(sensor), GPU), size=(8, 8)))
    board.with_panel(throttling())
    board.with_panel(
        rows(
            "Errors, by GPU",
            "Counted in the range shown; retired pages in total.",
            ("gpu",),
            Series(queries.ecc_errors("correctable"), "ECC correctable"),
            Series(queries.ecc_errors("uncorrectable"), "ECC uncorrectable"),
            Series(queries.ecc_errors("deferred"), "ECC deferred"),
            Series(queries.RETIRED_PAGES, "Retired pages"),
            Series(queries.PCIE_REPLAYS, "PCIe replays"),
            size=(16, 8),
            hidden=("hostname", "gpu_uuid"),
        )
    )
    board.with_panel(
        rows(
            "Identity",
            "What each GPU is, and whether it can be read now.",
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
            Series(queries.READABLE, "Readable"),
            size=(24, 8),
            hidden=("hostname",),
        )
    )


def _exporter(board: Dashboard) -> None:
    board.with_row(Row("Exporter"))
    board.with_panel(
        timeseries(
            "Age of the sources",
            "Time since the last good reading, and the last good answer of the consumption API.",
            Series(queries.age("devices"), "readings"),
            Series(queries.age("tasks"), "ownership"),
            Series(queries.UNBOOKED, "not yet booked"),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            "Duration of reads and refreshes",
            "99th percentile: of reading one GPU, and of asking the consumption API.",
            Series(queries.duration("device_read"), "read"),
            Series(queries.duration("task_refresh"), "refresh"),
            size=(8, 8),
        )
    )
    board.with_panel(
        timeseries(
            "Refreshes and failures",
            "Answers of the consumption API by result, and failed reads by kind, counted in each step.",
            Series(queries.events("task_refreshes", "result"), "{{result}}"),
            Series(queries.events("device_errors", "kind"), "{{kind}}"),
            size=(8, 8),
        )
    )
