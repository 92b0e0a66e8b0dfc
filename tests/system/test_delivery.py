"""`exporter report --deliver` over a real Prometheus and a real mail server: what arrives, and what a failure costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from exporter.demo.api import Fault
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.report import command, period_command
from tests.support import engines
from tests.support.command_line import run
from tests.support.desk import Desk, desk_of
from tests.support.postbox import Postbox, free_port, mail_server
from tests.support.scenario import ASKED_FOR

MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
WEEK_LATER = MONDAY + 7 * 86400 + 3 * 3600
CLUSTER = Cluster(1, 2)
DAY = ("--date", "2026-03-02")
WEEK = ("--week", "2026-W10")


@pytest.fixture(autouse=True)
def _next_monday(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, period_command):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: WEEK_LATER))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    end = MONDAY + 86400 + 1800
    columns = history(CLUSTER, "colab-gpu1", MONDAY - 1800, end, scrape_seconds=60, only=ASKED_FOR)
    async with engines.prometheus(tmp_path_factory.mktemp("prometheus"), columns) as url:
        yield url


@pytest_asyncio.fixture
async def desk(server: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(CLUSTER, server, tmp_path) as desk:
        yield desk


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with mail_server() as box:
        yield box


async def delivered(desk: Desk, *arguments: str, deliver: list[dict[str, Any]]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a report that is written and delivered."""
    report = {"directory": str(desk.reports), "url": "https://reports.example.org/gpu/", "deliver": deliver}
    return await desk.report("--output", str(desk.reports), "--deliver", *arguments, report=report)


def shown(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text


async def test_a_day_arrives_in_the_language_and_format_of_each(desk: Desk, postbox: Postbox) -> None:
    url = postbox.url()
    code, _, err = await delivered(
        desk,
        *DAY,
        deliver=[
            {"to": url, "attach": ["json", "csv"]},
            {"to": url, "format": "html", "language": "zh-TW"},
            {"to": url, "when": "on-fault"},
            {"to": url, "when": "weekly"},
        ],
    )
    assert code == 0
    assert [line.split("INFO")[1].split(": ", 1)[1] for line in err.splitlines()] == [
        f"2026-03-02 was delivered to report.deliver[{place}]" for place in (0, 1)
    ]

    english, chinese = postbox.mails
    text, page = shown(english, "plain"), shown(chinese, "html")
    assert english["Subject"] == "GPU usage report 2026-03-02 (Monday)"
    assert "of the owned time was idle" in text
    assert text.rstrip().endswith("\r\nhttps://reports.example.org/gpu/2026-03-02/report.html")
    assert [part.get_filename() for part in english.iter_attachments()] == [
        "2026-03-02-report.json",
        "2026-03-02-gpus.csv",
        "2026-03-02-users.csv",
        "2026-03-02-tasks.csv",
    ]
    attached = next(english.iter_attachments()).get_payload(decode=True)
    assert attached == (desk.reports / "2026-03-02/report.json").read_bytes()
    assert chinese["Subject"] == "GPU 使用報告 2026-03-02（星期一）"
    assert "已分配的時間有" in page
    assert 'href="https://reports.example.org/gpu/2026-03-02/report.html"' in page
    assert len(page.encode()) < 100_000


async def test_a_day_with_a_warning_reaches_those_who_asked_for_faults_in_their_language(
    desk: Desk, postbox: Postbox
) -> None:
    desk.api.fault = Fault(status=500)
    wanted = [{"to": postbox.url(), "when": "on-fault", "language": language} for language in ("en", "zh-TW")]
    code, _, err = await delivered(desk, *DAY, deliver=wanted)

    assert code == 3
    english, chinese = (shown(mail, "plain") for mail in postbox.mails)
    assert "owners come from the history's labels" in " ".join(english.split())
    assert "owners come from" in err
    assert "無法取得任務資料" in chinese
    assert "owners come from" not in chinese


async def test_a_week_arrives_with_what_is_wrong_with_it_in_the_readers_language(desk: Desk, postbox: Postbox) -> None:
    code, _, _ = await delivered(
        desk,
        *WEEK,
        deliver=[
            {"to": postbox.url(), "when": "weekly", "language": "zh-TW", "attach": ["xlsx"]},
            {"to": postbox.url(), "when": "weekly", "format": "html"},
            {"to": postbox.url(), "when": "daily"},
        ],
    )

    assert code == 3
    chinese, english = postbox.mails
    (book,) = chinese.iter_attachments()
    assert "2026-W10" in chinese["Subject"]
    assert "colab-gpu1：資料涵蓋率為" in shown(chinese, "plain")
    assert book.get_filename() == "2026-W10-report.xlsx"
    assert "colab-gpu1: 14." in shown(english, "html")


async def test_a_delivery_that_fails_leaves_the_report_and_is_tried_again(desk: Desk) -> None:
    box = Postbox(port=free_port())
    wanted = [{"to": box.url()}]
    code, out, err = await delivered(desk, *DAY, deliver=wanted)
    written = json.loads((desk.reports / "2026-03-02/report.json").read_text())

    assert (code, out.strip()) == (3, str(desk.reports / "2026-03-02"))
    assert written["totals"]["capacity_gpu_hours"] == 48
    (line,) = err.splitlines()
    assert line.startswith("exporter: report.deliver[0]: 2026-03-02 was not delivered: ")
    assert "lab@example.org" not in err

    with mail_server(box.port) as recovered:
        for _ in range(2):
            assert (await delivered(desk, *DAY, deliver=wanted))[0] == 0
        assert len(recovered.mails) == 1
    assert json.loads((desk.reports / "2026-03-02/report.json").read_text()) == written


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*DAY, "--user", "itrd"), "--deliver sends one whole day"),
        (("--date", "2026-03-02", "--to", "2026-03-03"), "--deliver sends one whole day"),
        (("--date", "2026-03-09"), "--deliver sends one whole day"),
        ((*WEEK, "--node", "colab-gpu1"), "--deliver sends a whole week"),
        (("--month", "2026-03"), "--deliver sends a whole month"),
    ],
)
async def test_only_whole_days_weeks_and_months_are_delivered(
    desk: Desk, postbox: Postbox, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = await delivered(desk, *arguments, deliver=[{"to": postbox.url()}])

    assert code == 2
    assert words in err
    assert postbox.mails == []
    assert not desk.reports.exists()


@pytest.mark.parametrize("period", [DAY, WEEK])
def test_what_is_not_written_cannot_be_delivered(period: tuple[str, ...]) -> None:
    code, _, err = run(["report", *period, "--deliver"])

    assert code == 2
    assert "--output" in err
