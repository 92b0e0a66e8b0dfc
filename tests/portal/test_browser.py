"""The pages in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from exporter.report.render import html
from exporter.speech import languages, speech
from tests.support.browser import Page, browser_page
from tests.support.engines import prometheus
from tests.support.live import BEGAN, CLUSTER, HOUR, NOW, gpu
from tests.support.portal import Client, ago, keep, portal, store
from tests.support.reports import HOSTILE_NAMES
from tests.support.reports import sample as report_sample
from tests.web.test_browser import OUTSIDE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "陳" * 200
PAGES = {
    "all": "",
    "user": "users/amy",
    "long": f"users/{quote(LONG)}",
    "users": "users/",
    "folder": "reports/?list",
    "missing": "users/nobody",
}
CONTRAST = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) found.push([texts.currentNode.data.trim(), (a + .05) / (b + .05)]);
  }
  return found;
})()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with browser_page() as page:
        yield page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    reports = tmp_path_factory.mktemp("reports")
    store(reports, 1, 20, {"itrd": "amy", "easycard": LONG})
    made = report_sample(8)
    keep(reports / str(ago(1)) / "report.html", html.render(made.report, made.timeline, "en").encode())
    names = (LONG, *HOSTILE_NAMES[:3], "a-name-of-one-word-that-is-longer-than-a-telephone-is-wide-by-far")
    hosts = ("colab-gpu3", "a-host-of-a-cluster-far-away.with-its-domain.example.org")
    columns = [
        *CLUSTER,
        *(one for host in hosts for n, name in enumerate(names) for one in gpu(n, user=name, hostname=f"{n}{host}{n}")),
        *gpu(4, user="amy", active_until=BEGAN, held=2 * HOUR),
    ]
    async with prometheus(tmp_path_factory.mktemp("engine"), columns) as url, portal(url, reports, NOW) as client:
        yield client


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
async def test_nothing_is_wider_than_the_screen(page: Page, site: Client, name: str, width: int, language: str) -> None:
    await page.show(width, 800, dark=False)
    await page.prefer(language)
    await page.goto(site.portal.web.url + PAGES[name])
    assert await page.evaluate("document.documentElement.lang") == speech(language).tag
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert await page.evaluate(OUTSIDE.replace('"body *"', '"body *:not(.skip, .rows thead, .rows thead *)"')) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", PAGES)
async def test_every_text_stands_out_from_its_ground(page: Page, site: Client, name: str, dark: bool) -> None:
    await page.show(1280, 800, dark=dark)
    await page.goto(site.portal.web.url + PAGES[name])
    assert await page.evaluate(CONTRAST) == []
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert ground < 50 if dark else ground > 200


async def test_the_browser_has_nothing_to_complain_of_and_no_script_to_run(page: Page, site: Client) -> None:
    for path in PAGES.values():
        await page.goto(site.portal.web.url + path)
        assert await page.evaluate("document.scripts.length") == 0
        assert await page.evaluate("document.images.length") == 0
    page.complaints = [one for one in page.complaints if "404" not in one]  # of the user that there is not
    assert page.complaints == []


async def test_a_large_sum_stands_on_one_line_of_a_telephone(page: Page, site: Client) -> None:
    await page.show(390, 800, dark=False)
    await page.goto(f"{site.portal.web.url}users/amy")
    await page.evaluate("document.querySelectorAll('.sums b').forEach(b => b.textContent = '123,456.7')")
    lines = "b => b.clientHeight / parseFloat(getComputedStyle(b).lineHeight)"
    counts = await page.evaluate(f"[...document.querySelectorAll('.sums b')].map({lines})")
    assert {round(count) for count in counts} == {1}


async def test_every_gpu_is_a_row_of_a_table_with_heads(page: Page, site: Client) -> None:
    await page.show(1280, 800, dark=False)
    await page.goto(site.portal.web.url)
    total = await page.evaluate(
        "[...document.querySelectorAll('.totals b')].reduce((sum, b) => sum + +b.textContent, 0)"
    )
    assert await page.evaluate("document.querySelectorAll('table.rows tbody tr:not(.head)').length") == total > 0
    cells = "[...document.querySelectorAll('table.rows tbody tr:not(.head)')].map(row => row.cells.length)"
    heads = await page.evaluate("document.querySelectorAll('table.rows thead th').length")
    assert set(await page.evaluate(cells)) == {heads}


async def test_keys_reach_every_link_and_the_first_leads_to_the_content(page: Page, site: Client) -> None:
    await page.goto(site.portal.web.url)
    reached = set()
    for _ in range(await page.evaluate("document.links.length")):
        for kind in ("keyDown", "keyUp"):
            await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(await page.evaluate("[...document.links].indexOf(document.activeElement)"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == set(range(await page.evaluate("document.links.length")))
    assert await page.evaluate("document.links[0].getAttribute('href')") == "#main"


async def test_links_lead_from_gpus_to_a_user_to_a_report_and_keep_the_language(page: Page, site: Client) -> None:
    await page.prefer("en")
    await page.goto(site.portal.web.url)
    await page.goto(await page.evaluate("document.querySelector('.language a').href"))
    await page.goto(await page.evaluate("document.querySelector('.user a').href"))
    assert await page.evaluate("document.documentElement.lang") == "zh-Hant-TW"
    await page.goto(await page.evaluate("document.querySelector('.days tbody a').href"))
    assert await page.evaluate("document.querySelector('h1').textContent.slice(0, 10)") == "2025-07-22"


async def test_a_users_page_is_found_by_its_name(page: Page, site: Client) -> None:
    await page.goto(site.portal.web.url + "users/?lang=zh-TW")
    await page.evaluate("document.querySelector('input').value = 'amy'")
    target = await page.evaluate(
        "(f => f.action + '?' + new URLSearchParams(new FormData(f)))(document.querySelector('form'))"
    )
    await page.goto(target)
    assert await page.evaluate("document.querySelector('h1').textContent") == "amy"
    assert await page.evaluate("document.documentElement.lang") == "zh-Hant-TW"


async def test_a_reports_page_keeps_its_style_and_its_script(page: Page, site: Client) -> None:
    await page.goto(f"{site.portal.web.url}reports/{ago(1)}/report.html")
    assert await page.evaluate("getComputedStyle(document.querySelector('svg.defs')).position") == "absolute"
    head = "document.querySelector('th[aria-sort]')"
    await page.evaluate(f"{head}.firstElementChild.click()")
    assert await page.evaluate(f"{head}.getAttribute('aria-sort')") != "none"
    await page.evaluate("1")
    assert page.complaints == []
