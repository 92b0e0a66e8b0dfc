"""Draws the dashboards with Grafana's own components, over the Prometheus of a running demo, into docs/images.

    PYTHONPATH=. python docs/dashboard_pictures.py http://127.0.0.1:PORT [FOLDER]

Needs node and npm, which fetches what docs/dashboards/package.json names into `.venv`. With a folder, every dashboard
goes there instead.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from deploy.grafana.build import boards
from exporter.demo.run import HISTORY_SCRAPE_SECONDS
from exporter.speech import languages, speech
from tests.support.browser import Page, browser_page
from tests.support.portal import serving

_DOCS: Final = Path(__file__).parent
_BUILD: Final = _DOCS.parent / ".venv" / "dashboards"
_SHOWN: Final = "cluster"
"""The dashboard that the docs show."""
_DAY_SECONDS: Final = 86400
_PATIENCE_SECONDS: Final = 300
_VARIABLES: Final = {"host": ".*", "user": ".+", "task_type": ".*", "price": "80"}
_IN_LANGUAGE: Final = {"en": "", "zh-TW": ".zh-TW"}


async def main(prometheus: str, folder: Path | None) -> None:
    """Draws yesterday, which the demo remembers in full."""
    _bundle()
    end = int(datetime.now(UTC).timestamp()) // _DAY_SECONDS * _DAY_SECONDS
    view = {"prometheus": prometheus, "from": end - _DAY_SECONDS, "to": end, "scrape": HISTORY_SCRAPE_SECONDS}
    async with serving(_file) as url, browser_page() as page:
        for language in languages():
            for name, board in boards(speech(language)).items():
                if folder is None and name != _SHOWN:
                    continue
                host = {"host": "colab-gpu1"} if name == "node" else {}
                _write_page(view | {"board": board, "variables": _VARIABLES | host})
                picture = await _drawn(page, f"{url}/index.html")
                suffix = _IN_LANGUAGE[language]
                to = folder / f"{name}{suffix}.png" if folder else _DOCS / "images" / f"dashboard{suffix}.png"
                to.write_bytes(picture)


def _bundle() -> None:
    """Makes one script of what draws and all it needs."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    for file in (_DOCS / "dashboards").iterdir():
        shutil.copy(file, _BUILD)
    quiet = ("--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--silent")
    subprocess.run(["npm", "install", *quiet], cwd=_BUILD, check=True)
    node = '--define:process.env.NODE_ENV="production"', "--define:global=window"
    subprocess.run(
        ["npx", "esbuild", "draw.tsx", "--bundle", "--outfile=draw.js", "--log-level=error", *node],
        cwd=_BUILD,
        check=True,
    )


def _write_page(view: dict[str, object]) -> None:
    shown = json.dumps(view).replace("</", "<\\/")
    (_BUILD / "index.html").write_text(
        f"""<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="draw.css">
<style>* {{ box-sizing: border-box }} body, h3 {{ margin: 0 }}</style><body>
<script>window.__grafana_public_path__ = "node_modules/@grafana/ui/dist/public/"; window.VIEW = {shown}</script>
<script src="draw.js"></script>""",
        encoding="utf-8",
    )


async def _file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(_BUILD / request.match_info["path"])


async def _drawn(page: Page, url: str) -> bytes:
    """Returns a picture of the page, once all of it is drawn."""
    await page.show(100, 100, dark=False)
    await page.goto(url)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await page.evaluate("!!document.querySelector('#board')"):
            failure = await page.evaluate("document.body.textContent.startsWith('FAILED') && document.body.textContent")
            if failure:
                sys.exit(failure)
            await asyncio.sleep(0.2)
    width, height = await page.evaluate("(b => [b.offsetWidth, b.offsetHeight])(document.querySelector('#board'))")
    await page.show(width, height, dark=False)
    await page.frame()
    return await page.screenshot()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None))
