"""The page in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from exporter.speech import languages, speech
from tests.support import snapshots
from tests.support.browser import Page, browser_page
from tests.support.endpoint import Endpoint, endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODES = {
    "eight": snapshots.EIGHT,
    "rack": snapshots.rack(),
    "hostile": snapshots.HOSTILE_NODE,
    "no library": snapshots.NO_LIBRARY,
}
OUTSIDE = """
[...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.right > innerWidth + 0.5 || box.left < -0.5;
}).map(element => element.outerHTML.slice(0, 100))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with browser_page() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def served() -> AsyncIterator[Endpoint]:
    async with endpoint() as served:
        yield served


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", NODES)
async def test_nothing_is_wider_than_the_screen(
    page: Page, served: Endpoint, name: str, width: int, language: str
) -> None:
    served.snapshot = NODES[name]
    await page.show(width, 800, dark=False)
    await page.prefer(language)
    await page.goto(served.server.url)
    assert await page.evaluate("document.documentElement.lang") == speech(language).tag
    assert await page.evaluate("innerWidth") == width
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert await page.evaluate(OUTSIDE) == []


async def test_the_browser_has_nothing_to_complain_of(page: Page, served: Endpoint) -> None:
    await page.goto(served.server.url)
    await page.evaluate("1")  # a round trip, behind which every entry of the console has arrived
    assert page.complaints == []
    assert await page.evaluate("getComputedStyle(document.querySelector('.gpus')).display") == "grid"


@pytest.mark.parametrize(
    ("zone", "shown"), [("Asia/Taipei", "2025-07-22 16:19:32 UTC+08:00"), ("UTC", "2025-07-22 08:19:32 UTC")]
)
@pytest.mark.parametrize("language", languages())
async def test_times_are_by_the_clock_of_the_reader(
    page: Page, served: Endpoint, zone: str, shown: str, language: str
) -> None:
    await page.prefer(language)
    await page.call("Emulation.setTimezoneOverride", timezoneId=zone)
    await page.goto(served.server.url)
    assert await page.evaluate("document.querySelector('time').textContent") == shown
    assert page.complaints == []


async def test_without_scripts_the_page_tells_its_times_all_the_same(page: Page, served: Endpoint) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.goto(served.server.url)
    await page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert await page.evaluate("document.querySelector('time').textContent") == "2025-07-22 08:19:32 UTC"


async def test_the_policy_stops_a_script_and_a_style_that_got_in(page: Page, served: Endpoint) -> None:
    await page.goto(served.server.url)
    await page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p id=in style=\"color: red\">x</p>');"
        "document.body.appendChild(document.createElement('script')).text = 'window.ran = true'"
    )
    assert await page.evaluate("window.ran") is None
    assert await page.evaluate("getComputedStyle(document.querySelector('#in')).color") != "rgb(255, 0, 0)"
    await page.evaluate("1")
    assert len(page.complaints) == 2
    page.complaints.clear()


async def test_a_hostile_username_is_shown_as_text(page: Page, served: Endpoint) -> None:
    served.snapshot = snapshots.HOSTILE_NODE
    await page.goto(served.server.url)
    assert await page.evaluate("document.querySelector('.who').textContent") == snapshots.HOSTILE
    assert await page.evaluate("document.scripts.length") == 1
    assert "owned" not in await page.evaluate("document.title")


async def test_light_and_dark_follow_the_system(page: Page, served: Endpoint) -> None:
    shades = []
    for dark in (False, True):
        await page.show(390, 800, dark=dark)
        await page.goto(served.server.url)
        shade = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        shades.append(shade)
    light, dark_shade = shades
    assert light > 200
    assert dark_shade < 50


async def test_bars_are_as_long_as_their_figures(page: Page, served: Endpoint) -> None:
    await page.goto(served.server.url)
    share = "(b => b.firstElementChild.getBoundingClientRect().width / b.getBoundingClientRect().width)"
    assert await page.evaluate(f"{share}(document.querySelector('.bar'))") == pytest.approx(0.974, abs=0.002)
