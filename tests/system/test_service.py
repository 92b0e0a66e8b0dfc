from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import pytest

from exporter.demo.api import StandInApi
from exporter.model import Task, TaskGpu
from tests.support.exporter import PATIENCE_SECONDS, exporter

SIMULATED = {"hostname": "colab-gpu1", "devices": {"source": "simulated", "interval": "100ms"}}


async def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    async with exporter(tmp_path, SIMULATED) as running:
        await running.shows(lambda metrics: metrics.value("amdgpu_up", gpu="7") == 1)
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await running.process.wait() == 0
    assert running.log[-1].endswith("stopped")
    assert len(running.log) == 2


async def test_it_is_ready_with_the_first_readings(tmp_path: Path) -> None:
    async with exporter(tmp_path, SIMULATED) as running:
        await running.shows(lambda metrics: metrics.value("amdgpu_up", gpu="0") == 1)
        assert "ready" in await running.get("/-/ready")
        assert "healthy" in await running.get("/-/healthy")
        assert "colab-gpu1" in await running.get("/")


async def test_sighup_applies_log_tasks_and_links_live_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    api = StandInApi([])
    async with api, exporter(tmp_path, SIMULATED) as running:
        token = tmp_path / "token"
        token.write_text(api.token)
        token.chmod(0o600)
        running.reload(
            SIMULATED
            | {"devices": {"source": "simulated", "interval": "2s"}}
            | {"tasks": {"url": api.url, "token_file": str(token)}, "log": {"format": "json"}}
            | {"listen": {"host": "127.0.0.1", "port": 1}, "portal": {"url": "https://gpu.example.org"}}
        )
        line = json.loads(await running.logged("need|restart"))
        assert (line["level"], line["message"]) == (
            "warning",
            f"{running.config}: devices.interval, listen.port changed: restart the service to apply",
        )
        await running.shows(lambda metrics: metrics.value("amdgpu_exporter_task_refreshes_total", result="ok") == 1)
        assert 'href="https://gpu.example.org/"' in await running.get("/")


@pytest.mark.parametrize("text", ["tasks: {refresh: fast}", "listen: {tls_cert: /nowhere, tls_key: /nowhere}"])
async def test_sighup_with_a_bad_config_keeps_the_old_one(tmp_path: Path, text: str) -> None:
    async with exporter(tmp_path, SIMULATED) as running:
        running.config.write_text(text, encoding="utf-8")
        running.process.send_signal(signal.SIGHUP)
        assert "ERROR" in await running.logged("the config stays as it was")
        await running.shows(lambda metrics: metrics.value("amdgpu_up", gpu="0") == 1)


async def test_sigkill_leaves_no_worker_and_the_next_run_starts_anew(tmp_path: Path) -> None:
    async with exporter(tmp_path, SIMULATED) as first:
        await first.shows(lambda metrics: (metrics.value("amdgpu_observed_seconds_total", gpu="0") or 0) > 0.3)
        first.process.kill()
        await first.process.wait()
    async with exporter(tmp_path, SIMULATED) as second:
        await second.shows(lambda metrics: metrics.value("amdgpu_up", gpu="0") == 1)


async def test_systemd_is_told_of_readiness_watchdog_and_end(tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.setblocking(False)
    manager.bind(str(tmp_path / "notify"))
    told: list[str] = []
    loop = asyncio.get_running_loop()

    async def tells(state: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while state not in told:
                told.append((await loop.sock_recv(manager, 1000)).decode())

    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
    with manager:
        async with exporter(tmp_path, SIMULATED, env) as running:
            for state in ("READY=1", "WATCHDOG=1"):
                await tells(state)
            running.process.terminate()
            await tells("STOPPING=1")
    assert told[0] == "READY=1"


async def test_a_manager_that_does_not_listen_ends_nothing(tmp_path: Path) -> None:
    env = {"NOTIFY_SOCKET": str(tmp_path / "nowhere"), "WATCHDOG_USEC": "100000"}
    async with exporter(tmp_path, SIMULATED, env) as running:
        await running.shows(lambda metrics: (metrics.value("amdgpu_observed_seconds_total", gpu="0") or 0) > 0.3)


async def failure(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command that should fail."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", *arguments, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


async def test_a_taken_port_is_named_and_exits_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "config.yaml"
        file.write_text(f"devices: {{source: simulated}}\nlisten: {{host: 127.0.0.1, port: {port}}}")
        code, words = await failure("serve", "--config", str(file))
    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: another process has that port" in words
    assert "Traceback" not in words


async def test_a_bad_config_exits_2_in_words(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("tasks: {refresh: fast}\nfoo: 1")

    code, words = await failure("serve", "--config", str(file))

    assert code == 2
    assert words.splitlines() == [
        f'exporter: {file}: tasks.refresh: expected a duration such as 30s (units: ms, s, m, h, d), found "fast"',
        f"exporter: {file}: foo: no such key; config.example.yaml shows every key",
    ]


async def test_the_token_is_in_no_page_log_or_process_list(tmp_path: Path) -> None:
    uuid = "52f67b3700dcc6f3"
    api = StandInApi([Task("t", "itrd", "LAB", (TaskGpu(uuid, "1"),), 0.0)], token="hunter2-hunter2")
    token = tmp_path / "token"
    token.write_text(api.token)
    token.chmod(0o600)
    settings = SIMULATED | {"tasks": {"url": api.url, "token_file": str(token)}, "log": {"level": "debug"}}
    async with api:
        settings["tasks"] = {"url": api.url, "token_file": str(token)}
        async with exporter(tmp_path, settings) as running:
            await running.shows(lambda metrics: metrics.value("amdgpu_exporter_task_refreshes_total", result="ok") == 1)
            seen = [await running.get(path) for path in ("/", "/metrics")]
            seen.append(Path(f"/proc/{running.process.pid}/cmdline").read_text())
            api.token = "another"
            running.reload(settings)
            await running.shows(
                lambda metrics: (metrics.value("amdgpu_exporter_task_refreshes_total", result="auth") or 0) >= 1
            )
            seen.append(await running.get("/"))
        seen += running.log
    assert not [text for text in seen if "hunter2" in text]
