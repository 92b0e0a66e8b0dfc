from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.errors import ReportError
from exporter.report import days, past
from exporter.report.write import write
from tests.support.browser import browser_page
from tests.support.periods import week_of_accounts

PAGE = b'<body><nav class="past"></nav><p>report</p></body>'


def keep(directory: Path, *names: str) -> None:
    write(directory, {f"{name}/report.html": PAGE for name in names}, past.links("en"))


def links(directory: Path, name: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', (directory / name / "report.html").read_text(encoding="utf-8"))


def test_a_report_links_the_one_before_the_one_after_and_the_calendar(tmp_path: Path) -> None:
    keep(tmp_path, "2026-11-03")
    assert links(tmp_path, "2026-11-03") == ["../index.html#2026-11"]

    keep(tmp_path, "2026-11-05")
    keep(tmp_path, "2026-11-04")
    assert links(tmp_path, "2026-11-03") == ["../index.html#2026-11", "../2026-11-04/report.html"]
    assert links(tmp_path, "2026-11-04") == [
        "../2026-11-03/report.html",
        "../index.html#2026-11",
        "../2026-11-05/report.html",
    ]


def test_days_weeks_and_months_are_linked_each_among_themselves(tmp_path: Path) -> None:
    keep(tmp_path, "2026-11-03", "2026-W45", "2026-11", "2026-10", "2026-11-04")

    assert links(tmp_path, "2026-W45") == ["../index.html#2026-11"]
    assert links(tmp_path, "2026-11") == ["../2026-10/report.html", "../index.html#2026-11"]


def test_every_link_leads_to_something(tmp_path: Path) -> None:
    keep(tmp_path, "2026-11-03", "2026-W45", "2026-11", "2026-12-31", "2025-01-01")
    keep(tmp_path, "2026-11-04", "2026-W01")
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    found = re.findall(r'<a[^>]* ?href="([^"]+)"', index)

    assert len(found) == 7
    assert all((tmp_path / link).exists() for link in found)
    for page in tmp_path.glob("*/report.html"):
        for link in links(tmp_path, page.parent.name):
            path, _, anchor = link.partition("#")
            assert (page.parent / path).exists()
            assert not anchor or f'<section id="{anchor}">' in index


def test_the_calendar_shows_the_shares_of_a_stored_day_and_bears_one_that_is_damaged(tmp_path: Path) -> None:
    account = week_of_accounts()[0]
    content = days.dumped(account)
    write(tmp_path, {f"2025-07-01/{days.FILE}": content, f"2025-07-02/{days.FILE}": content[:50]}, past.links("zh-TW"))
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    shares = days.read_head(tmp_path / "2025-07-01" / days.FILE)

    assert shares is not None
    assert f"{shares.shares.owned_gpu_hours / shares.shares.capacity_gpu_hours:.0%}" in index
    assert index.count('class="owned"') == 1
    assert 'href="2025-07-01/report.html"' not in index


def test_folders_that_are_no_reports_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "2026-13").mkdir()
    (tmp_path / "2026-02-30").mkdir()
    (tmp_path / "colab-gpu1").mkdir()
    keep(tmp_path, "2026-11-03", "2026-11-03_2026-11-05")

    assert "colab" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert links(tmp_path, "2026-11-03_2026-11-05") == []


def test_a_report_from_before_there_were_links_stays_as_it_is(tmp_path: Path) -> None:
    old = tmp_path / "2026-11-02" / "report.html"
    old.parent.mkdir()
    old.write_bytes(b"<body>old</body>")
    keep(tmp_path, "2026-11-03")

    assert old.read_bytes() == b"<body>old</body>"
    assert "../2026-11-02/report.html" in links(tmp_path, "2026-11-03")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As full disks do, stops a file that grows too large."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_while_the_calendar_is_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    keep(tmp_path, "2026-11-03")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.html")}
    with pytest.raises(ReportError, match="cannot be written"), largest_file(1000):
        keep(tmp_path, "2026-11-04")

    assert len((tmp_path / "index.html").read_bytes()) > 1000
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.html")} == before


async def test_the_calendar_works_from_a_file_on_a_phone_and_on_a_screen(tmp_path: Path) -> None:
    write(
        tmp_path,
        {f"{account.day}/{days.FILE}": days.dumped(account) for account in week_of_accounts()}
        | {"2025-07-03/report.html": PAGE},
        past.links("en"),
    )
    async with browser_page() as browser:
        for width in (390, 1280):
            await browser.show(width, 900, dark=width == 390)
            await browser.goto((tmp_path / "index.html").as_uri())
            assert await browser.evaluate("document.documentElement.scrollWidth") == width
        assert await browser.evaluate("document.querySelectorAll('.bar').length") == 7 * 3
        target = await browser.evaluate("document.querySelector('td a').href")
        assert target == (tmp_path / "2025-07-03" / "report.html").as_uri()
        assert browser.complaints == []
