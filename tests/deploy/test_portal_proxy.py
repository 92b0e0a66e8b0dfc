"""deploy/nginx/portal.conf under the real nginx, in front of a portal."""

from __future__ import annotations

import os
import re
import signal
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from tests.support.caching_proxy import reachable
from tests.support.engines import free_port, prometheus
from tests.support.live import BEGAN, gpu
from tests.support.portal import keep, portal

CONF = Path(__file__).parents[2] / "deploy/nginx/portal.conf"
USERS = ("amy", "../x", "a/b%2Fc", "陳怡君", "a b+c&d?e#f")


@asynccontextmanager
async def proxied(directory: Path, behind: int) -> AsyncIterator[str]:
    port = free_port()
    conf = CONF.read_text()
    assert "http://127.0.0.1:9943$portal" in conf
    (directory / "portal.conf").write_text(conf.replace(":9943", f":{behind}"))
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"{user} daemon off; pid {directory}/pid; error_log {directory}/error.log;\n"
        f"events {{ }}\nhttp {{ access_log off; client_body_temp_path {directory}; proxy_temp_path {directory};\n"
        f"  fastcgi_temp_path {directory}; scgi_temp_path {directory}; uwsgi_temp_path {directory};\n"
        f"  server {{ listen 127.0.0.1:{port}; include {directory}/portal.conf; }} }}\n"
    )
    process = await create_subprocess_exec("nginx", "-c", directory / "nginx.conf", start_new_session=True)
    try:
        await reachable(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def test_every_link_leads_somewhere_below_the_path_of_the_proxy(tmp_path: Path) -> None:
    columns = [one for n, name in enumerate(USERS) for one in gpu(n, user=name, active_until=BEGAN)]
    keep(tmp_path / "reports/index.html", b"calendar")
    async with (
        prometheus(tmp_path / "engine", columns) as url,
        portal(url, tmp_path / "reports") as site,
        proxied(tmp_path, site.portal.web.port) as proxy,
        aiohttp.ClientSession() as session,
    ):
        seen, left = set(), [f"{proxy}/gpus"]
        while left:
            at = left.pop()
            async with session.get(URL(at, encoded=True), headers={"Accept-Language": "en"}) as answer:
                assert answer.status == 200, at
                page = await answer.text()
            seen.add(at.removeprefix(proxy))
            for link in re.findall(r'href="([^"#]*)"', page if "<html" in page else ""):
                target = urljoin(str(answer.url), unescape(link))
                assert target.startswith((f"{proxy}/gpus/", "data:")), (at, link)
                if "lang=" not in link and not link.startswith("data:") and target.removeprefix(proxy) not in seen:
                    left.append(target)
                    seen.add(target.removeprefix(proxy))
    assert {path.removeprefix("/gpus/users/") for path in seen if path.startswith("/gpus/users/")} == {
        *("", "amy", "..%2Fx", "a%2Fb%252Fc", "%E9%99%B3%E6%80%A1%E5%90%9B", "a%20b%2Bc%26d%3Fe%23f"),
    }
    assert "/gpus/reports/" in seen
