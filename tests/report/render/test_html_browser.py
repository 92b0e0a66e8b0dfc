from __future__ import annotations

from functools import cache
from pathlib import Path

from exporter.demo.cluster import USERS
from exporter.report.render.html.page import render
from tests.support.browser import Page, browser_page
from tests.support.reports import HOSTILE_NAMES, Sample, sample


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
    assert shown.splitlines()[:2] == ["colab-gpu1 · GPU 1 · 1", "00:00 – 00:10"]
    assert shown.splitlines()[2].endswith("%")
    painted = "new Set(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1440, 144).data).size"
    assert await browser.evaluate(painted) > 20
