"""Alertmanager's config as delivered: whom each alert reaches, and the mails as a real mail server gets them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import yaml

from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import Column, write_series
from tests.support.alertmanager import ALERTMANAGER, CONFIG, Mails, alertmanager, delivered, mail_server, text

RULES = ALERTMANAGER.parent / "prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((RULES / "alerts.rules.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
INSTANCE = {"instance": "n1:9942"}
AWAY_SECONDS = 630.0
"""So old are the newest owners that Prometheus knows at first; what they did since then is told later."""


def amtool(*arguments: str | Path) -> str:
    done = subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("path", [CONFIG, ALERTMANAGER / "examples/slack.yml"], ids=lambda path: path.name)
def test_alertmanager_accepts_the_config(path: Path) -> None:
    amtool("check-config", path)


def test_every_fault_reaches_the_administrators_and_every_long_idle_holding_its_holder() -> None:
    chosen = {}
    for alert in ALERTS:
        labels = {"alertname": alert["alert"], "username": "amy", **alert["labels"]}
        pairs = [f"{name}={value}" for name, value in labels.items()]
        chosen[alert["alert"], alert["labels"].get("idle")] = amtool(
            "config", "routes", "test", f"--config.file={CONFIG}", *pairs
        )
    others = {key: receiver for key, receiver in chosen.items() if receiver != "administrators"}
    assert others == {
        ("AmdGpuHeldIdle", None): "nobody",
        ("AmdGpuSharedIdle", None): "nobody",
        ("AmdGpuVramNearlyFull", None): "nobody",
        ("AmdGpuLeftIdle", "2h"): "holder",
        ("AmdGpuLeftIdle", "12h"): "holder-again",
    }
    assert chosen["AmdGpuLeftIdle", "24h"] == "administrators"


def test_an_alert_silences_only_alerts_that_there_are() -> None:
    names = {alert["alert"] for alert in ALERTS}
    document = yaml.safe_load(CONFIG.read_text())
    named = re.findall(r'alertname="(\w+)"', json.dumps(document).replace("\\", ""))
    assert named
    assert set(named) <= names


@pytest.mark.parametrize(
    ("user", "address"),
    [
        ("amy", "amy@example.org"),
        ("amy+gpu@example.net", "amy+gpu@example.net"),
        ("nobody.in.particular", "somebody@cs.example.org"),
        ("陳怡君", "root@localhost"),
        ("amy@example.org, everybody@example.org", "root@localhost"),
        ("amy\nBcc: everybody@example.org", "root@localhost"),
        ("../x", "root@localhost"),
    ],
)
def test_a_username_becomes_one_address_or_the_administrators(user: str, address: str, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"groupLabels": {"username": user}}))
    rendered = amtool(
        "template",
        "render",
        f"--template.glob={ALERTMANAGER / 'addresses.tmpl'}",
        '--template.text={{ template "mi300x.holder" . }}',
        f"--template.data={data}",
    )
    assert rendered == address


def hurried(mail_port: int) -> dict[str, Any]:
    """The delivered config; only its waits are short, and its night is over."""
    config = delivered(mail_port)
    for route in (config["route"], *config["route"]["routes"]):
        route.update(group_wait="2s", group_interval="1s")
        route.pop("mute_time_intervals", None)
    return config


def rules(directory: Path) -> list[str]:
    """The delivered rules, evaluated every second; only how long a condition must last is left out."""
    paths = []
    for name in ("recording.rules.yml", "alerts.rules.yml"):
        document = yaml.safe_load((RULES / name).read_text())
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.pop("for", None)
        path = directory / name
        path.write_text(yaml.safe_dump(document))
        paths.append(str(path))
    return paths


def column(name: str, begin: float, end: float, value: float | Callable[[float], float], **labels: str) -> Column:
    """A series with a sample every 15 s up to its end; its value is a constant or a function of time."""
    times = np.arange(end, begin - 1e-6, -15.0)[::-1]
    values = [value(at) if callable(value) else value for at in times]
    return Column(
        {"__name__": name, **INSTANCE, **labels}, np.round(times * 1000).astype(np.int64), np.array(values, float)
    )


def gpu(index: int) -> dict[str, str]:
    return {"hostname": "n1", "gpu": str(index), "gpu_uuid": f"{index:016x}"}


def owner(user: str) -> dict[str, str]:
    return {"username": user, "task_type": "LAB", "ownership": "owned"}


def before(now: float) -> list[Column]:
    """Three hours in which amy leaves GPUs 3 and 4 idle, GPU 5 of bob is lost, and the API falls silent."""
    begin, told = now - 3 * 3600, now - AWAY_SECONDS
    columns = [
        column("up", begin, now, 1, job="mi300x"),
        column("amdgpu_exporter_build_info", begin, now, 1, version="1"),
        column("amdgpu_exporter_tasks_last_success_timestamp_seconds", now - 60, now, told),
        column("amdgpu_up", begin, now - 300, 1, **gpu(5)),
        column("amdgpu_up", now - 285, now, 0, **gpu(5)),
        column("amdgpu_exporter_device_errors_total", begin, now - 300, 0, kind="gpu_lost", **gpu(5)),
        column("amdgpu_exporter_device_errors_total", now - 285, now, 1, kind="gpu_lost", **gpu(5)),
        column("amdgpu_task_info", begin, now, 1, username="bob", task_type="LAB", task_id="t-2", **gpu(5)),
    ]
    for index in (3, 4):
        of = gpu(index) | owner("amy")
        columns += [
            column("amdgpu_up", begin, now, 1, **gpu(index)),
            column("amdgpu_vram_used_bytes", begin, now, 2.0**35, **of),
            column("amdgpu_task_info", begin, now, 1, username="amy", task_type="LAB", task_id="t-1", **gpu(index)),
            column("amdgpu_owner_seconds_total", begin, told, lambda at: at - begin, **of),
            column("amdgpu_owner_idle_seconds_total", begin, told, lambda at: at - begin, **of),
        ]
    return columns


def after(then: float, now: float) -> list[Column]:
    """The API answers again and tells that amy has worked since then; the GPU is back."""
    begin, told = then - 3 * 3600, then - AWAY_SECONDS
    columns = [
        column("amdgpu_exporter_tasks_last_success_timestamp_seconds", now, now, now),
        column("amdgpu_up", now, now, 1, **gpu(5)),
    ]
    for index in (3, 4):
        of = gpu(index) | owner("amy")
        columns += [
            column("amdgpu_owner_seconds_total", told + 15, now, lambda at: at - begin, **of),
            column("amdgpu_owner_idle_seconds_total", told + 15, now, told - begin, **of),
        ]
    return columns


async def knows_alertmanager(url: str) -> None:
    """Returns once Prometheus has somebody to tell: what it cannot tell, it tells again only after a minute."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/api/v1/alertmanagers") as response:
                if (await response.json())["data"]["activeAlertmanagers"]:
                    return
            await asyncio.sleep(0.1)


async def test_mails_tell_of_idle_gpus_of_a_lost_one_and_of_a_silent_api_and_when_each_is_over(tmp_path: Path) -> None:
    mails = Mails()
    admins = "root@localhost"
    async with (
        mail_server(mails) as port,
        alertmanager(tmp_path / "alertmanager", hurried(port)) as manager,
    ):
        config: dict[str, Any] = {
            "global": {"evaluation_interval": "1s", "external_labels": {"cluster": "main"}},
            "rule_files": rules(tmp_path),
            "storage": {
                "tsdb": {"out_of_order_time_window": "1d"}
            },  # the rules write the present before the past is in
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager.address]}]}]},
        }
        async with PrometheusServer(tmp_path / "prometheus", yaml.safe_dump(config)) as prometheus:
            await knows_alertmanager(prometheus.url)
            then = time.time()
            await write_series(prometheus.url, before(then))
            idle = await mails.arrived("amy@example.org", "[GPU] 已分配但閒置 2 / 2 held and idle")
            lost = await mails.arrived(admins, "[CRITICAL] AmdGpuLost, main: 1")
            silent = await mails.arrived(admins, "[WARNING] AmdGpuOwnershipStale, main: 1")
            assert "n1 GPU 3: held by amy and idle for 2 hours" in text(idle)
            assert "n1 GPU 4: held by amy and idle for 2 hours" in text(idle)
            assert "Tasks: LAB t-1. VRAM in use: 32GiB." in text(idle)
            assert "Held in the last hour by: bob (LAB t-2)." in text(lost)
            assert "https://docs.example.org/mi300x-exporter/runbook.md#amdgpulost" in text(lost)
            assert "n1:9942: who owns the GPUs is no longer known" in text(silent)

            await write_series(prometheus.url, after(then, time.time()))
            await mails.arrived("amy@example.org", "[GPU] 已不再閒置 / no longer idle", "- n1 GPU 3", "- n1 GPU 4")
            await mails.arrived(admins, "[OVER] AmdGpuLost, main", "n1 GPU 5 (0000000000000005) is lost")
            await mails.arrived(admins, "[OVER] AmdGpuOwnershipStale, main")
    assert {mail["To"] for mail in mails.kept} == {"amy@example.org", admins}
