"""The examples for Slack, Teams and LINE: what a real Alertmanager posts, as a server on loopback reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.support.alertmanager import ALERTMANAGER, alertmanager, version
from tests.support.portal import serving

EXAMPLES = ALERTMANAGER / "examples"
RUNBOOK = "https://docs.example.org/mi300x-exporter/runbook.md#amdgpulost"
SUMMARY = 'n1 GPU 3 "left" <the> bus, 陳怡君 held it'
LOST = {
    "hostname": "n1",
    "gpu": "3",
    "severity": "critical",
    "annotations": {"summary": SUMMARY, "description": "Held by: amy.", "runbook_url": RUNBOOK},
}
SECRET = "c2VjcmV0"


def directed(name: str, folder: Path, url: str) -> dict[str, Any]:
    """An example's config that posts to a URL, its secrets in files of a folder."""
    config: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    config["templates"] = [str(ALERTMANAGER / "mails.tmpl")]
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    (receiver,) = config["receivers"]
    (settings,) = next(value for key, value in receiver.items() if key.endswith("_configs"))
    secret = folder / "secret"
    for key in ("api_url_file", "webhook_url_file"):
        if key in settings:
            secret.write_text(f"{url}/{SECRET}")
            settings[key] = str(secret)
    if "url" in settings:
        assert settings["url"].startswith("https://api.line.me/")
        secret.write_text(SECRET)
        settings["url"] = f"{url}/v2/bot/message/push"
        settings["http_config"]["authorization"]["credentials_file"] = str(secret)
    return config


def slack(post: dict[str, Any]) -> str:
    (attachment,) = post["attachments"]
    return f"{attachment['title']}\n{attachment['text']}"


def teams(post: dict[str, Any]) -> str:
    (attachment,) = post["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return "\n".join(block["text"] for block in attachment["content"]["body"])


def line(post: dict[str, Any]) -> str:
    assert post["to"].startswith("C")
    (message,) = post["messages"]
    assert message["type"] == "text"
    assert len(message["text"]) <= 5000, "LINE refuses more"
    return str(message["text"])


@pytest.mark.parametrize(
    ("name", "since", "read"),
    [("slack.yml", (0, 25), slack), ("teams.yml", (0, 28), teams), ("line.yml", (0, 33), line)],
    ids=["slack", "teams", "line"],
)
async def test_a_fault_and_its_end_are_posted(
    name: str, since: tuple[int, int], read: Callable[[dict[str, Any]], str], tmp_path: Path
) -> None:
    if version() < since:
        pytest.skip(f"needs Alertmanager {since[0]}.{since[1]}: make test-engines has it")
    posts: asyncio.Queue[tuple[str, str, dict[str, Any]]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await posts.put((request.path, request.headers.get("Authorization", ""), json.loads(await request.read())))
        return web.Response(text="ok")

    async with serving(take) as url:
        config = directed(name, tmp_path, url)
        async with alertmanager(tmp_path / "alertmanager", config) as manager, asyncio.timeout(120):
            await manager.tell(AmdGpuLost=LOST)
            path, authorization, first = await posts.get()
            await manager.tell(AmdGpuLost=LOST | {"endsAt": datetime.now(UTC).isoformat()})
            _, _, second = await posts.get()
    assert SECRET in path + authorization
    told, over = read(first), read(second)
    assert "[CRITICAL] AmdGpuLost: 1" in told
    for part in (SUMMARY, "Held by: amy.", RUNBOOK):
        assert part in told
    assert "[OVER] AmdGpuLost" in over
    assert SUMMARY in over
