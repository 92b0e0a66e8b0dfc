"""Which files of the folder of reports can be reached."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.portal import reports
from exporter.report.options import Format
from exporter.report.output import files
from exporter.report.period_output import files as period_files
from exporter.report.window import window
from tests.support.periods import period_report
from tests.support.portal import keep
from tests.support.reports import sample

DAY = "2025-07-22"
ALL: tuple[Format, ...] = ("brief", "text", "text-full", "csv", "xlsx", "json", "html", "markdown", "legacy")
PERIOD: tuple[Format, ...] = ("text", "xlsx", "json", "html", "markdown")


def test_every_file_that_a_report_writes_is_one() -> None:
    made = sample(8, to="2025-07-23")
    span = window(DAY, "2025-07-23", "Asia/Taipei", datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    written = files(made.report, made.timeline, span, "en", ALL)
    written |= {f"2025-07/{name}": content for name, content in period_files(period_report(), "en", PERIOD).items()}
    written |= {"2025-W30/report.html": b"", "index.html": b""}
    assert [path for path in written if not reports.is_file(path.split("/"))] == []
    assert {reports.content_type(path).partition(";")[0].split("/")[0] for path in written} == {"text", "application"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".lock",
        "config.yaml",
        "report.html",
        f"{DAY}/day.jsonl.gz",
        f"{DAY}/plot.png",
        f"{DAY}/../{DAY}/report.html",
        "../report.html",
        f".partial/{DAY}/report.html",
        f"{DAY}.former/report.html",
        f"{DAY}/report.html/",
        f"{DAY}/sub/report.html",
        f"colab-gpu1/{DAY}/gpu0_2025-07-23.csv",
        f"colab-gpu1/{DAY}/summary_{DAY}.csv",
        f".ssh/{DAY}/summary_{DAY}.txt",
        f"{DAY}\n/report.html",
        "\uff12\uff10\uff12\uff15-07-22/report.html",
    ],
)
def test_nothing_else_is(path: str) -> None:
    assert not reports.is_file(path.split("/"))


@given(st.lists(st.text(st.sampled_from("./\\\0\n~%01-2W_gpu.htmlcsvxdayreportindexé"), max_size=12), max_size=4))
def test_no_name_on_the_way_to_a_report_leads_elsewhere(path: list[str]) -> None:
    if reports.is_file(path) or reports.is_folder(path):
        assert all(name and not name.startswith(".") and not set(name) & set("/\\\0\n~%") for name in path)


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    root, secret = tmp_path / "reports", keep(tmp_path / "secret/report.html", b"secret")
    root.mkdir()
    (root / DAY).symlink_to(secret.parent)
    keep(root / "2025-07-23/summary.txt", b"")
    (root / "2025-07-23/report.html").symlink_to(secret)
    (root / "index.html").symlink_to(secret)
    for path in ([DAY, "report.html"], ["2025-07-23", "report.html"], ["index.html"]):
        assert reports.is_file(path)
        with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
            reports.opened(root, path)
    assert reports.listed(root, []).folders == ("2025-07-23",)
    assert reports.listed(root, []).files == ()
    assert reports.listed(root, ["2025-07-23"]).files == ("summary.txt",)


def test_what_is_no_file_is_not_opened_and_holds_nobody_up(tmp_path: Path) -> None:
    keep(tmp_path / DAY / "report.html/file", b"")
    os.mkfifo(tmp_path / DAY / "summary.txt")
    for name in ("report.html", "summary.txt"):
        with pytest.raises(OSError, match=r"directory|report.html|summary.txt"):
            reports.opened(tmp_path, [DAY, name])


def test_a_folder_lists_its_reports_the_latest_first_and_nothing_else(tmp_path: Path) -> None:
    for path in (
        *("index.html", ".lock", "notes.txt", f"{DAY}/report.html", f"{DAY}/day.jsonl.gz", f"{DAY}/gpus.csv"),
        *("2025-07/report.html", "2025-W30/report.html", ".partial/x/report.html", "private/key.pem"),
        *(f"colab-gpu10/{DAY}/gpu0_{DAY}.csv", f"colab-gpu2/{DAY}/gpu10_{DAY}.csv", f"colab-gpu2/{DAY}/gpu9_{DAY}.csv"),
    ):
        keep(tmp_path / path, b"")
    everything = reports.listed(tmp_path, [])
    assert everything.folders == ("2025-W30", DAY, "2025-07", "colab-gpu2", "colab-gpu10")
    assert everything.files == ("index.html",)
    assert reports.listed(tmp_path, [DAY]).files == ("report.html", "gpus.csv")
    assert reports.listed(tmp_path, ["colab-gpu2"]).folders == (DAY,)
    assert reports.listed(tmp_path, ["colab-gpu2", DAY]).files == (f"gpu9_{DAY}.csv", f"gpu10_{DAY}.csv")
    assert reports.listed(tmp_path, ["private"]).is_empty


def test_a_folder_that_is_not_there_is_empty_and_one_that_is_none_has_a_problem(tmp_path: Path) -> None:
    assert reports.listed(tmp_path / "nowhere", []) == reports.Listing((), (), is_being_written=False, problem=None)
    file = keep(tmp_path / "file", b"")
    assert reports.listed(file, []).problem == "Not a directory"


def test_a_folder_that_a_run_holds_is_being_written(tmp_path: Path) -> None:
    with keep(tmp_path / ".lock", b"").open("a") as lock:
        assert not reports.is_being_written(tmp_path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert reports.is_being_written(tmp_path)
