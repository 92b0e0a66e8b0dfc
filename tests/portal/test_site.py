"""The portal's addresses, over a real Prometheus that holds a small cluster."""

from __future__ import annotations

import asyncio
import fcntl
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
import pytest_asyncio
from aiohttp import web

from docs import generate
from exporter.live.ask import cluster
from exporter.live.document import document
from exporter.portal.days import COUNT
from exporter.report.history.client import PrometheusClient
from exporter.speech import languages
from exporter.standing import Standing
from tests.live.test_status import settings
from tests.support.engines import free_port, prometheus
from tests.support.live import BEGAN, CLUSTER, HOUR, NOW, gpu
from tests.support.portal import ZONE, Between, Client, ago, keep, portal, serving, store
from tests.support.reports import HOSTILE_NAMES

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = ("../x", "..", ".", "a/b", "a%2Fb", "a?lang=en#x", '"\\\n', *HOSTILE_NAMES)
QUERIES_OF_A_USER = 2
"""Whether there is one, and what they had."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with prometheus(tmp_path_factory.mktemp("engine"), CLUSTER) as where:
        yield where


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reports")
    store(directory, 1, 20)
    keep(directory / "index.html", b"<h1>the calendar</h1>")
    keep(directory / str(ago(1)) / "report.html", b"<h1>the report</h1>" * 100_000)
    keep(directory / str(ago(1)) / "gpus.csv", b"gpu\n")
    return directory


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(url: str, reports: Path) -> AsyncIterator[Client]:
    async with portal(url, reports) as client:
        yield client


def words(page: str) -> str:
    """What a page says, in one line."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def schema_of(name: str) -> dict[str, Any]:
    return {**json.loads(generate.portal_schema()), "oneOf": [{"$ref": f"#/$defs/{name}"}]}


async def test_every_gpu_stands_where_status_says_free_ones_first(site: Client, url: str) -> None:
    page = (await site.get("/", Accept_Language="en")).text
    found = re.findall(
        r'<tr><td class="node">.*?<bdi>(.*?)</bdi>.*?data-word="GPU ">(.*?)<.*?class="state">(.*?)<', page
    )
    assert found == [
        ("colab-gpu1", "2", "free"),
        ("colab-gpu1", "0", "in use"),
        ("colab-gpu1", "1", "held, idle 3h"),
        ("colab-gpu2", "1", "held, idle 30m"),
        ("colab-gpu1", "3", "busy, no task"),
        ("colab-gpu2", "0", "not reporting 2h"),
    ]
    assert "1 free 1 in use 2 held, idle 1 busy, no task 0 owner unknown 0 unreadable 1 not reporting" in words(page)
    assert "6 GPUs · as of 2026-03-04 12:53:20" in words(page)
    answer = json.loads((await site.get("/api/v1/gpus")).body)
    async with PrometheusClient(settings(url).prometheus) as client:
        expected = document(await cluster(client, NOW), ZONE).model_dump()
    assert answer == expected | {"problem": None}


async def test_a_user_has_now_today_and_the_days_that_are_stored(site: Client) -> None:
    page = words((await site.get("/users/amy", Accept_Language="en")).text)
    assert "2 GPUs held now 1 of them idle" in page
    assert "Left idle colab-gpu2 GPU 1: held, idle 30m" in page
    assert page.count("This day is not stored.") == COUNT - 20
    answer = json.loads((await site.get("/api/v1/users/amy")).body)
    assert [(row["hostname"], row["gpu"]) for row in answer["gpus"]] == [("colab-gpu1", 0), ("colab-gpu2", 1)]
    since_midnight = (NOW + 8 * HOUR) % 86400 / HOUR
    assert answer["today"]["owned_gpu_hours"] == pytest.approx(2 * since_midnight - 2 + 0.5, abs=0.3)
    assert [day["date"] for day in answer["days"]] == [str(ago(n)) for n in range(1, COUNT + 1)]
    assert [day["owned_gpu_hours"] is None for day in answer["days"]] == [False] * 20 + [True] * 10
    month = sum(day["owned_gpu_hours"] for day in answer["days"][:20])
    assert f"{month:.1f} GPU-hours in the last 30 days" in page


async def test_json_is_as_its_schema_says(site: Client) -> None:
    for path, name in (("/api/v1/gpus", "GpusAnswer"), ("/api/v1/users/amy", "UserAnswer")):
        answer = await site.get(path)
        assert answer.headers["Content-Type"] == "application/json"
        jsonschema.validate(json.loads(answer.body), schema_of(name))
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**json.loads(answer.body), "gpus": 1}, schema_of(name))


async def test_who_is_not_known_is_a_404_that_says_so(site: Client) -> None:
    for name in ("nobody", *HOSTILE):
        path = f"/users/?name={quote(name)}" if name in {".", ".."} else f"/users/{quote(name, safe='')}"
        answer = await site.get(path, Accept_Language="en")
        assert answer.status == 404, name
        assert "There is no user " in words(answer.text)
        assert "<script" not in answer.text
    assert json.loads((await site.get("/api/v1/users/nobody")).body) == {"error": "no such user"}
    assert (await site.get("/api/v1/users/nobody")).status == 404


async def test_a_hostile_name_has_a_page_that_its_links_lead_to(tmp_path: Path) -> None:
    columns = [one for n, name in enumerate(HOSTILE) for one in gpu(n, user=name, hostname=f"n{n}", active_until=BEGAN)]
    async with prometheus(tmp_path / "engine", columns) as hostile, portal(hostile, tmp_path) as site:
        page = (await site.get("/", Accept_Language="en")).text
        links = [unescape(link) for link in re.findall(r'href="(users/[^"]*)"', page) if link != "users/"]
        assert len(links) == len(HOSTILE)
        for link in links:
            answer = await site.get(f"/{link}", Accept_Language="en")
            assert answer.status == 200, link
            assert "1 GPUs held now" in words(answer.text)
            assert not re.search(r"<script|<img", answer.text)


@pytest.mark.parametrize(
    ("path", "accepted", "tag"),
    [
        ("/", "zh-TW", "zh-Hant-TW"),
        ("/", "en", "en"),
        ("/?lang=zh-TW", "en", "zh-Hant-TW"),
        ("/?lang=en", "zh-TW", "en"),
        ("/?lang=tlh", "zh-TW", "zh-Hant-TW"),
        ("/users/amy?lang=zh-TW", "en", "zh-Hant-TW"),
        ("/nothing?lang=zh-TW", "en", "zh-Hant-TW"),
    ],
)
async def test_pages_are_in_the_language_that_is_asked_for(site: Client, path: str, accepted: str, tag: str) -> None:
    answer = await site.get(path, Accept_Language=accepted)
    assert answer.headers["Content-Language"] == tag
    assert f'<html lang="{tag}">' in answer.text


async def test_a_language_that_was_chosen_is_kept_in_every_link(site: Client) -> None:
    page = (await site.get("/users/amy?lang=zh-TW")).text
    links = re.findall(r'href="([^"#]+)"', page)
    assert [link for link in links if "lang=" not in link and not link.startswith("data:")] == []
    assert '../users/%E9%99%B3%E6%80%A1%E5%90%9B?lang=zh-TW"' in (await site.get("/users/?lang=zh-TW")).text


async def test_links_hold_below_any_path_of_a_proxy(site: Client) -> None:
    for path in ("/", "/users/", "/users/amy", "/reports/?list", f"/reports/{ago(1)}/", "/a/b/c"):
        assert re.findall(r'(?:href|src|action)="/', (await site.get(path)).text) == []


async def test_the_nodes_page_and_grafana_are_linked_where_they_are_known(tmp_path: Path) -> None:
    instance = {"instance": "colab-gpu1.example.org:9942"}
    columns = [replace(column, labels={**column.labels, **instance}) for column in gpu(0, user="amy&co")]
    async with (
        prometheus(tmp_path / "engine", columns) as where,
        portal(where, tmp_path, grafana_url="https://grafana.example.org/g") as site,
    ):
        page = (await site.get("/", Accept_Language="en")).text
        assert 'href="http://colab-gpu1.example.org:9942/"' in page
        assert 'href="https://grafana.example.org/g/d/mi300x-cluster"' in page
        user = (await site.get("/users/amy%26co", Accept_Language="zh-TW")).text
        assert 'href="https://grafana.example.org/g/d/mi300x-users-zh-tw?var-user=amy%26co"' in user
    dashboards = Path(generate.__file__).parents[1] / "deploy/grafana/dashboards"
    for path, uid in (("en/cluster.json", "mi300x-cluster"), ("zh-TW/users.json", "mi300x-users-zh-tw")):
        assert json.loads((dashboards / path).read_text(encoding="utf-8"))["uid"] == uid


async def test_ten_who_reload_make_one_set_of_queries(url: str, tmp_path: Path) -> None:
    between = Between(url)
    async with serving(between.answer) as where, portal(where, tmp_path) as site:
        pages = await asyncio.gather(*(site.get(path) for path in ("/", "/api/v1/gpus", "/-/ready") for _ in range(10)))
        assert {page.status for page in pages} == {200}
        for _ in range(10):
            await site.get("/")
        assert between.asked
        assert len(between.asked) == len(set(between.asked))
        between.asked.clear()
        users = await asyncio.gather(*(site.get("/users/amy") for _ in range(10)))
        assert {user.status for user in users} == {200}
        assert len(between.asked) == QUERIES_OF_A_USER


@pytest.mark.parametrize(
    "instead",
    [
        web.Response(status=500, text="no"),
        web.Response(status=503, text='{"status": "error", "errorType": "timeout", "error": "too slow"}'),
        web.Response(text="<html><body>Sign in</body></html>"),
        web.Response(text='{"status": "success"'),
        web.Response(text='{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}'),
        web.Response(text='{"status": "success", "data": {"resultType": "vector", "result": []}}'),
    ],
    ids=["error", "timeout", "HTML", "half", "nonsense", "nothing"],
)
async def test_a_prometheus_that_fails_is_said_and_the_rest_is_shown(
    url: str, reports: Path, instead: web.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(url)
    between.instead = instead
    async with serving(between.answer) as where, portal(where, reports) as site:
        home = await site.get("/", Accept_Language="en")
        assert home.status == 503
        assert "Prometheus has not answered: what the GPUs do now is not known." in words(home.text)
        assert where in words(home.text)
        user = await site.get("/users/amy", Accept_Language="en")
        assert user.status == 200
        assert "GPU-hours in the last 30 days" in words(user.text)
        assert (await site.get("/users/nobody")).status == 503
        assert (await site.get("/reports/")).status == 200
        assert (await site.get("/-/ready")).status == 503
        assert (await site.get("/-/healthy")).status == 200
        for path in ("/api/v1/gpus", "/api/v1/users/nobody"):
            assert (await site.get(path)).status == 503
            assert where in json.loads((await site.get(path)).body)["error"]

        between.instead = None
        monkeypatch.setattr(site.portal._site._cluster, "_lifetime", 0.0)
        assert (await site.get("/-/ready")).status == 200
        between.instead = instead
        later = await site.get("/", Accept_Language="en")
        assert later.status == 200
        assert "Prometheus gives no new answer: what is below was so just now." in words(later.text)
        assert "1 free 1 in use" in words(later.text)
        assert where in json.loads((await site.get("/api/v1/gpus")).body)["problem"]


async def test_a_prometheus_that_is_not_there_or_does_not_answer_holds_up_no_page_for_long(
    url: str, reports: Path
) -> None:
    async with portal(f"http://127.0.0.1:{free_port()}", reports) as site:
        assert "is prometheus.url right" in words((await site.get("/")).text)
    between = Between(url)
    between.held = asyncio.Event()
    async with serving(between.answer) as where, portal(where, reports) as site:
        site.portal._site._cluster._patience = 0.0
        page = await site.get("/", Accept_Language="en")
        between.held.set()
    assert page.status == 503
    assert re.search(r"no answer for \d s", words(page.text))


async def test_a_prometheus_without_gpus_says_so(tmp_path: Path) -> None:
    async with prometheus(tmp_path / "engine") as empty, portal(empty, tmp_path) as site:
        page = await site.get("/", Accept_Language="en")
        assert page.status == 200
        assert "Prometheus has no GPU of the last day." in words(page.text)
        assert "Nobody holds a GPU." in words((await site.get("/users/", Accept_Language="en")).text)


async def test_what_readers_ask_for_fills_no_memory(site: Client) -> None:
    for n in range(300):
        await site.get(f"/?name={n}&lang={n}")
        await site.get(f"/users/n{n}")
    assert len(site.portal._site._pages._tables) <= len(languages()) * (1 + len(languages()))
    assert len(site.portal._site._used) == 256


async def test_figures_that_are_old_say_how_old(url: str, tmp_path: Path) -> None:
    async with portal(url, tmp_path, now=NOW + 240) as site:
        assert "The newest sample came 4 minutes ago." in words((await site.get("/", Accept_Language="en")).text)


async def test_everybody_who_holds_or_held_a_gpu_is_listed(site: Client) -> None:
    page = (await site.get("/users/", Accept_Language="en")).text
    rows = re.findall(r"<bdi>([^<]*)</bdi></a></th><td[^>]*>(\d+)</td><td[^>]*>(\d+)<", page)
    assert rows[:2] == [("amy", "2", "1"), ("陳怡君", "1", "1")]
    assert {held for _, held, _ in rows[2:]} == {"0"}
    assert "easycard" in [name for name, _, _ in rows]


async def test_reports_are_served_as_they_lie_there(site: Client, reports: Path) -> None:
    calendar = await site.get("/reports/")
    assert calendar.body == b"<h1>the calendar</h1>"
    assert (await site.get("/reports/index.html")).body == calendar.body
    report = await site.get(f"/reports/{ago(1)}/report.html")
    assert report.body == (reports / str(ago(1)) / "report.html").read_bytes()
    assert report.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "style-src 'unsafe-inline'" in report.headers["Content-Security-Policy"]
    assert report.headers["X-Content-Type-Options"] == "nosniff"
    table = await site.get(f"/reports/{ago(1)}/gpus.csv")
    assert (table.body, table.headers["Content-Type"]) == (b"gpu\n", "text/csv; charset=utf-8")
    assert report.headers["Content-Encoding"] == "gzip"
    plain = await site.get(f"/reports/{ago(1)}/report.html", Accept_Encoding="identity")
    assert (plain.body, plain.headers["Content-Length"]) == (report.body, str(len(report.body)))
    head = await site.get(f"/reports/{ago(1)}/report.html", method="HEAD", Accept_Encoding="identity")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(report.body)))
    listing = words((await site.get(f"/reports/{ago(1)}/", Accept_Language="en")).text)
    assert "report.html gpus.csv" in listing
    assert "day.jsonl.gz" not in listing


async def test_what_follows_the_head_of_a_report_is_the_next_answer(site: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.portal.web.port)
    head = f"HEAD /reports/{ago(1)}/report.html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
    writer.write(f"{head}GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(30):
        _, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b"healthy\n")


async def test_a_folder_is_found_without_its_slash(site: Client) -> None:
    for path, where in (
        ("/reports", "reports/"),
        ("/users?lang=en", "users/?lang=en"),
        (f"/reports/{ago(1)}", f"{ago(1)}/"),
    ):
        answer = await site.get(path)
        assert (answer.status, answer.headers["Location"]) == (308, where)


@pytest.mark.parametrize(
    "path",
    [
        "/reports/../config.yaml",
        "/reports/..%2fconfig.yaml",
        "/reports/%2e%2e/config.yaml",
        "/reports/%2e%2e%2fconfig.yaml",
        "/reports/..%5cconfig.yaml",
        "/reports//etc/passwd",
        "/reports/%2fetc%2fpasswd",
        "/reports/.lock",
        "/reports/{day}/day.jsonl.gz",
        "/reports/{day}/../index.html",
        "/reports/{day}%2freport.html",
        "/reports/{day}/report.html%00",
        "/reports/{day}/report.html/",
        "/reports/{day}/%ff",
        "/reports/private/",
        "/reports/..",
        "/reports/.",
        "/../config.yaml",
        "//reports/index.html",
        "/%2e%2e/config.yaml",
        "/static/page.css",
    ],
)
async def test_nothing_of_the_disk_but_reports_is_served(url: str, tmp_path: Path, path: str) -> None:
    root = tmp_path / "reports"
    for name in (
        "config.yaml",
        "etc/passwd",
        "reports/.lock",
        "reports/private/key.pem",
        f"reports/{ago(1)}/report.html",
    ):
        keep(tmp_path / name, b"secret")
    keep(root / "index.html", b"calendar")
    store(root, 1, 1)
    async with portal(url, root) as site:
        answer = await site.get(path.format(day=ago(1)))
        assert answer.status == 404
        assert b"secret" not in answer.body
        assert b"key.pem" not in answer.body
        assert (await site.get("/reports/")).body == b"calendar"


async def test_an_empty_an_unreadable_and_a_new_folder_say_so(url: str, tmp_path: Path) -> None:
    async with portal(url, tmp_path / "nowhere") as site:
        answer = await site.get("/reports/", Accept_Language="en")
        assert (answer.status, "There are no reports yet." in words(answer.text)) == (200, True)
        assert (await site.get("/reports/2025-07-22/report.html")).status == 404
        assert (await site.get("/users/amy")).status == 200
    with keep(tmp_path / "new/.lock", b"").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with portal(url, tmp_path / "new") as site:
            for path in ("/reports/", "/reports/2025-07-22/report.html"):
                assert "A report is being written now." in words((await site.get(path, Accept_Language="en")).text)
    file = keep(tmp_path / "file", b"")
    async with portal(url, file) as site:
        answer = await site.get("/reports/", Accept_Language="en")
        assert answer.status == 503
        assert "The folder of reports cannot be read. Not a directory" in words(answer.text)
        assert (await site.get("/users/amy")).status == 200


async def test_every_page_is_of_one_of_the_standings_that_status_knows(site: Client) -> None:
    styles = set(re.findall(r'<tbody class="(\w+)">', (await site.get("/")).text))
    assert styles <= {standing.style for standing in Standing}
