"""`exporter portal` as its users run it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest
import yaml

from tests.support.engines import free_port
from tests.support.exporter import exporter

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
SETTINGS: dict[str, Any] = {
    "prometheus": {"url": f"http://127.0.0.1:{free_port()}"},
    "portal": {"host": "127.0.0.1", "port": 0},
}


async def test_it_serves_until_sigterm_and_tells_systemd(tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.setblocking(False)
    manager.bind(str(tmp_path / "notify"))
    with manager:
        async with exporter(tmp_path, SETTINGS, {"NOTIFY_SOCKET": str(tmp_path / "notify")}, "portal") as running:
            assert await running.get("/-/healthy") == "healthy\n"
            running.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(running.process.wait(), 30) == 0
        assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]
    assert "stopped" in running.log[-1]


async def test_sighup_applies_passwords_grafana_and_log_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    async with exporter(tmp_path, SETTINGS, kind="portal") as running:
        running.reload(
            {
                **SETTINGS,
                "portal": {"port": 1, "basic_auth": {"amy": HASH}, "grafana_url": "https://grafana.example.org"},
                "log": {"format": "json"},
            }
        )
        line = json.loads(await running.logged("need|restart"))
        assert line["message"] == f"{running.config}: portal.port changed: restart the service to apply"
        await running.logged("config read again")
        async with aiohttp.ClientSession() as session:
            async with session.get(running.url) as refused:
                assert refused.status == 401
            known = {"Authorization": f"Basic {b64encode(b'amy:secret').decode()}"}
            async with session.get(running.url, headers=known) as answer:
                assert "https://grafana.example.org/d/" in await answer.text()


@pytest.mark.parametrize("portal", [{"refresh": 1}, {"tls_cert": "/nowhere", "tls_key": "/nowhere"}])
async def test_sighup_with_a_bad_config_keeps_the_old_one(tmp_path: Path, portal: dict[str, Any]) -> None:
    async with exporter(tmp_path, SETTINGS, kind="portal") as running:
        running.reload({**SETTINGS, "portal": portal})
        assert "portal." in await running.logged("the config stays as it was")
        assert await running.get("/-/healthy") == "healthy\n"


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"portal": {"tls_cert": "/nowhere", "tls_key": "/nowhere"}}, 2, "portal.tls_cert: cannot read /nowhere"),
        ({"portal": {"port": 0}, "prometheus": {"token_file": "/nowhere"}}, 2, "prometheus.token_file: /nowhere"),
        ({"portal": {"grafana_url": "grafana"}}, 2, "portal.grafana_url: expected a URL"),
        ({"portal": {"host": "192.0.2.1"}}, 1, "set portal.host to one that"),
    ],
)
async def test_what_cannot_be_used_ends_it_with_advice(
    tmp_path: Path, settings: dict[str, Any], code: int, words: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", "portal", "--config", str(file), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, words in stderr.decode()) == (code, True), stderr.decode()


async def test_without_its_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['numpy'] = None\nfrom exporter import cli; cli.main(['portal'])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert "exporter portal needs its extra: pip install 'mi300x-exporter[report]'" in stderr.decode()
