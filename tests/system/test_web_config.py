"""The flags that all exporters have, as they are used: files that Prometheus' own tools accept, passwords of htpasswd,
certificates of openssl, and a real Prometheus that scrapes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.demo.prometheus import PrometheusServer
from tests.support.certificates import Files, made
from tests.support.exporter import ExporterProcess, exporter

SIMULATED = {"hostname": "colab-gpu1", "devices": {"source": "simulated", "interval": "100ms"}}
SCRAPE = """
scrape_configs:
  - job_name: mi300x
    scrape_interval: 1s
    scheme: https
    tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}}}
    basic_auth: {{username: prometheus, password: {password}}}
    static_configs: [{{targets: ["{target}"]}}]
"""
PATIENCE = 90.0


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def hashed(password: str) -> str:
    """As docs/security.md says."""
    return run("htpasswd", "-niBC", "5", "prometheus", text=password).strip().partition(":")[2]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = made(tmp_path)
    client = files.ca.issue_cert("prometheus.test")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    return files


def web_file(files: Files, password: str) -> Path:
    """One that any exporter of Prometheus takes."""
    document: dict[str, Any] = {
        "tls_server_config": {
            "cert_file": "cert.pem",
            "key_file": "key.pem",
            "client_ca_file": "ca.pem",
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_allowed_sans": ["prometheus.test"],
            "min_version": "TLS12",
            "cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
        },
        "http_server_config": {"http2": False, "headers": {"Strict-Transport-Security": "max-age=60"}},
        "basic_auth_users": {"prometheus": hashed(password)},
    }
    file = files.directory / "web.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


async def status(running: ExporterProcess, files: Files, password: str) -> int:
    client = files.client()
    client.load_cert_chain(files.directory / "client.pem", files.directory / "client.key")
    known = {"Authorization": f"Basic {b64encode(f'prometheus:{password}'.encode()).decode()}"}
    async with aiohttp.ClientSession() as session, session.get(running.url, ssl=client, headers=known) as response:
        return response.status


async def answer(url: str, query: str) -> list[Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/query", params={"query": query}) as found:
        result: list[Any] = json.loads(await found.read())["data"]["result"]
        return result


async def test_a_real_prometheus_scrapes_over_tls_with_certificate_and_password(tmp_path: Path, files: Files) -> None:
    file = web_file(files, "correct horse")
    flags = ("--web.config.file", str(file), "--web.listen-address", "127.0.0.1:0")
    async with exporter(tmp_path / "node", SIMULATED, flags=flags) as running:
        target = running.url.removeprefix("https://")
        config = SCRAPE.format(
            ca=files.client_ca,
            cert=tmp_path / "client.pem",
            key=tmp_path / "client.key",
            password="correct horse",
            target=target,
        )
        async with PrometheusServer(tmp_path / "prometheus", config) as server, asyncio.timeout(PATIENCE):
            while len(await answer(server.url, "amdgpu_up == 1")) < 8:
                await asyncio.sleep(0.2)
        shown = await asyncio.to_thread(
            run, "openssl", "s_client", "-connect", target, "-CAfile", files.client_ca, "-tls1_2",
            "-cert", tmp_path / "client.pem", "-key", tmp_path / "client.key", text="",
        )  # fmt: skip
        assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in shown
        assert "Verify return code: 0 (ok)" in shown


def test_promtool_takes_the_file_that_we_take(files: Files) -> None:
    file = web_file(files, "correct horse")
    document = yaml.safe_load(file.read_text())
    del document["tls_server_config"]["client_allowed_sans"]  # Debian 12's is older than that key
    file.write_text(yaml.safe_dump(document))
    assert "SUCCESS" in run("promtool", "check", "web-config", file)


async def test_sighup_reads_the_file_again_and_a_bad_one_keeps_the_old(tmp_path: Path, files: Files) -> None:
    file = web_file(files, "first")
    async with exporter(tmp_path / "node", SIMULATED, flags=("--web.config.file", str(file))) as running:
        assert await status(running, files, "first") == 200
        web_file(files, "second")
        running.process.send_signal(signal.SIGHUP)
        await running.logged("config read again")
        assert [await status(running, files, word) for word in ("first", "second")] == [401, 200]
        file.write_text("http_server_config: {http2: true}", encoding="utf-8")
        running.process.send_signal(signal.SIGHUP)
        line = await running.logged("the config stays as it was")
        assert f"{file}: http_server_config.http2: expected false" in line
        assert await status(running, files, "second") == 200


async def test_the_portal_takes_the_same_flags(tmp_path: Path, files: Files) -> None:
    settings = {"prometheus": {"url": "http://127.0.0.1:9"}, "portal": {"port": 1}}
    flags = ("--web.config.file", str(web_file(files, "word")), "--web.listen-address", "127.0.0.1:0")
    async with exporter(tmp_path / "portal", settings, kind="portal", flags=flags) as running:
        assert await status(running, files, "word") in {200, 503}
        assert await status(running, files, "other") == 401
        assert "portal.port does not count" in "\n".join(running.log)
