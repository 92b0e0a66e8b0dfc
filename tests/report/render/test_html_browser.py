from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from exporter.demo.cluster import USERS
from exporter.report.render.html.page import render
from exporter.report.render.period.html import render as render_period
from tests.support.browser import Page, browser_page
from tests.support.periods import period_report
from tests.support.reports import HOSTILE_NAMES, Sample, enlarged, sample


@cache
def hostile() -> Sample:
    made = sample(16, usernames=dict(zip(USERS, HOSTILE_NAMES, strict=False)))
    return Sample(made.report.model_copy(update={"only_users": list(HOSTILE_NAMES)}), made.timeline)


async def test_page_works_in_a_browser(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(hostile().report, hostile().timeline, "zh-TW"), encoding="utf-8")
    async with browser_page() as browser:
        for width in (390, 1280):
            await browser.show(width, 900, dark=width == 390)
            await browser.goto(path.as_uri())
            assert await browser.evaluate("document.documentElement.scrollWidth") == width
        await _sort_by_click_and_by_key(browser)
        await _sort_money(browser)
        await _explain_a_cell(browser)
        await _unfold(browser)
        assert browser.complaints == []


async def test_a_phone_shows_idle_hours_first(tmp_path: Path) -> None:
    day = sample(32)
    path = tmp_path / "report.html"
    path.write_text(render(day.report, day.timeline, "zh-TW"), encoding="utf-8")
    async with browser_page() as browser:
        await browser.show(390, 844, dark=False)
        await browser.goto(path.as_uri())
        lead = "document.querySelector('#brief li')"
        assert "閒置" in await browser.evaluate(f"{lead}.textContent")
        assert await browser.evaluate(f"{lead}.getBoundingClientRect().bottom") < 844 / 2
        for table in ("idle_users", "waste", "users", "nodes", "gpus", "tasks", "task_types", "projects"):
            heads = f"Array.from(document.querySelectorAll('#{table} th'))"
            right = f"{heads}.find(head => head.innerText.startsWith('閒置')).getBoundingClientRect().right"
            assert await browser.evaluate(right) <= 390, table
        assert browser.complaints == []


async def test_tables_say_that_they_scroll_only_where_they_do_and_how_far(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(hostile().report, hostile().timeline, "zh-TW"), encoding="utf-8")
    box, hint = "document.querySelector('#idle_users .scroll')", "document.querySelector('#idle_users .wider')"
    async with browser_page() as browser:
        for width, is_wider in ((390, True), (1280, False)):
            await browser.show(width, 900, dark=False)
            await browser.goto(path.as_uri())
            await browser.frame()
            assert await browser.evaluate(f"{box}.scrollWidth > {box}.clientWidth") is is_wider
            assert await browser.evaluate(f"{hint}.checkVisibility()") is is_wider
            assert await browser.evaluate(f"{box}.classList.contains('more')") is is_wider
        await browser.show(390, 900, dark=False)
        await browser.goto(path.as_uri())
        await browser.evaluate(f"{box}.scrollTo(1e6, 0)")
        await browser.frame()
        assert await browser.evaluate(f"{box}.classList.contains('more')") is False


@pytest.mark.parametrize("times", [1, 32])
async def test_the_brief_and_the_charts_are_two_printed_pages(tmp_path: Path, times: int) -> None:
    day = enlarged(sample(32), times)
    width, height = (round(millimetres / 25.4 * 96) for millimetres in (297 - 22, 210 - 22))
    async with browser_page() as browser:
        for language in ("en", "zh-TW"):
            path = tmp_path / f"{language}.html"
            path.write_text(render(day.report, day.timeline, language), encoding="utf-8")
            await browser.show(width, height, dark=False)
            await browser.call("Emulation.setEmulatedMedia", media="print")
            await browser.goto(path.as_uri())
            bottom = "document.querySelector('.cover').getBoundingClientRect().bottom"
            charts = "document.querySelector('.charts').getBoundingClientRect().height"
            assert await browser.evaluate(bottom) <= height
            assert await browser.evaluate(charts) <= height
            for first in (".charts", "#waste"):
                breaks = f"getComputedStyle(document.querySelector('{first}')).breakBefore"
                assert await browser.evaluate(breaks) == "page"


async def test_tables_of_a_month_sort_and_say_that_they_scroll(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_period(period_report(), "zh-TW"), encoding="utf-8")
    async with browser_page() as browser:
        for width in (1280, 390):
            await browser.show(width, 900, dark=False)
            await browser.goto(path.as_uri())
            await browser.frame()
            assert await browser.evaluate("document.documentElement.scrollWidth") == width
        for name in ("days", "users", "projects", "task_types", "nodes", "heat"):
            box, hint = (f"document.querySelector('#{name} {part}')" for part in (".scroll", ".wider"))
            is_wider = await browser.evaluate(f"{box}.scrollWidth > {box}.clientWidth")
            assert await browser.evaluate(f"{hint}.checkVisibility()") is is_wider, name
        head = "document.querySelectorAll('#users th')[2]"
        column = "Array.from(document.querySelectorAll('#users tbody tr'), row => row.cells[2].textContent)"
        for order in ("descending", "ascending"):
            await browser.evaluate(f"{head}.firstElementChild.click()")
            assert await browser.evaluate(f"{head}.ariaSort") == order
            hours = [float(text.replace(",", "")) for text in await browser.evaluate(column)]
            assert hours == sorted(hours, reverse=order == "descending")
            assert len(hours) > 3
        assert browser.complaints == []


async def _unfold(browser: Page) -> None:
    shown = "Array.from(document.querySelectorAll('#waste tbody tr')).filter(row => row.checkVisibility()).length"
    assert await browser.evaluate(shown) == 12
    await browser.evaluate("document.querySelector('#waste .unfold').click()")
    assert await browser.evaluate(shown) == len(hostile().report.waste) > 12


async def _sort_by_click_and_by_key(browser: Page) -> None:
    head = "document.querySelectorAll('#tasks th')[10]"
    column = "Array.from(document.querySelectorAll('#tasks tbody tr'), row => row.cells[10].textContent)"
    await browser.evaluate(f"{head}.firstElementChild.click()")
    assert await browser.evaluate(f"{head}.ariaSort") == "descending"
    down = await browser.evaluate(column)
    await browser.evaluate(f"{head}.firstElementChild.focus()")
    for event in ("keyDown", "keyUp"):
        await browser.call("Input.dispatchKeyEvent", type=event, key="Enter", text="\r", windowsVirtualKeyCode=13)
    assert await browser.evaluate(f"{head}.ariaSort") == "ascending"
    up = await browser.evaluate(column)
    for shown, sign in ((down, -1), (up, 1)):
        figures = [sign * float(text.removeprefix("<").replace(",", "")) for text in shown if text != "–"]
        assert figures == sorted(figures)
        assert len(figures) > 10
        assert shown[len(figures) :] == ["–"] * (len(shown) - len(figures))
        assert len(shown) > len(figures)


async def _sort_money(browser: Page) -> None:
    heads = await browser.evaluate("Array.from(document.querySelectorAll('#users th'), head => head.innerText.trim())")
    place = heads.index("費用")
    await browser.evaluate(f"document.querySelectorAll('#users th')[{place}].firstElementChild.click()")
    shown = await browser.evaluate(
        f"Array.from(document.querySelectorAll('#users tbody tr'), row => row.cells[{place}].textContent)"
    )
    costs = [float(text.removeprefix("US$").replace(",", "")) for text in shown]
    assert costs == sorted(costs, reverse=True)
    assert len({len(text) for text in shown}) > 1, "as text they would be in another order"


async def _explain_a_cell(browser: Page) -> None:
    await browser.evaluate("document.querySelector('.canvas').focus()")
    for event in ("keyDown", "keyUp"):
        await browser.call("Input.dispatchKeyEvent", type=event, key="ArrowDown")
    shown = await browser.evaluate("document.getElementById('tip').innerText")
    assert shown.splitlines()[:2] == ["colab-gpu1 · GPU 1 · 編號 1", "00:00 – 00:10"]
    assert shown.splitlines()[2].endswith("%")
    painted = "new Set(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1440, 144).data).size"
    assert await browser.evaluate(painted) > 20
