"""What `exporter report` prints where the locale is not UTF-8, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from exporter.demo.api import StandInApi
from exporter.model import Task, TaskGpu
from tests.support.cases import DATE, hour

NAMES = ("陳怡君", "Jérôme", "ὀδυσσεύς")
TASKS = [
    Task(name, name, "LAB", (TaskGpu("52f67b3700dcc6fa", "27", "MI300X"),), hour(n), hour(n + 1), "colab-gpu1")
    for n, name in enumerate(NAMES)
]


async def printed(directory: Path, encoding: str, *arguments: str) -> bytes:
    async with StandInApi(TASKS) as api:
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(api.token, encoding="utf-8")
        config = directory / "config.yaml"
        config.write_text(yaml.safe_dump({"tasks": {"url": api.url, "token_file": str(token)}}), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "report", "--config", str(config), "--user-report"),
            *("--date", str(DATE), "--timezone", "Asia/Taipei", *arguments),
            env=os.environ | {"PYTHONIOENCODING": encoding},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    return out


@pytest.mark.parametrize("encoding", ["big5", "latin-1"])
@pytest.mark.parametrize("language", ["zh-TW", "en"])
async def test_text_says_what_the_locale_can_spell(tmp_path: Path, encoding: str, language: str) -> None:
    out = await printed(tmp_path, encoding, "--lang", language)
    for name in NAMES:
        assert name.encode(encoding, errors="replace") in out


@pytest.mark.parametrize("kind", ["json", "csv", "html", "markdown"])
async def test_what_programs_read_is_utf_8_whatever_the_locale(tmp_path: Path, kind: str) -> None:
    out = (await printed(tmp_path, "big5", "--format", kind)).decode("utf-8")
    assert kind == "csv" or all(name in out for name in NAMES)
    if kind == "json":
        assert [row["username"] for row in json.loads(out)["tasks"]] == list(NAMES)
