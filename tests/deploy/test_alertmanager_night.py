"""When Alertmanager speaks: not at night of what can wait, again while it lasts, and once when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.alertmanager import CONFIG, Mails, Manager, alertmanager, delivered, mail_server

AMY = "amy@example.org"
ADMINISTRATORS = "root@localhost"
IDLE, USED = "[GPU] 已分配但閒置 1 / 1 held and idle", "[GPU] 已不再閒置 / no longer idle"
GPU = {"hostname": "n1", "gpu": "3", "gpu_uuid": "0000000000000003"}
DAY = timedelta(days=1)


def idle(since: str) -> dict[str, Any]:
    return {**GPU, "username": "amy", "severity": "info", "idle": since, "annotations": {"summary": f"idle {since}"}}


LOST = {**GPU, "severity": "critical", "annotations": {"summary": "n1 GPU 3 is lost"}}


def at_hour(hour: int, config: dict[str, Any]) -> dict[str, Any]:
    """The same config, its night in a place where it is about that hour now."""
    east = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    (night,) = config["time_intervals"]
    for interval in night["time_intervals"]:
        interval["location"] = f"Etc/GMT{-east:+d}"  # its sign is the other way round
    return config


def hurried(mail_port: int, **longer: str) -> dict[str, Any]:
    """The delivered config; only its waits are short."""
    config = delivered(mail_port)
    for route in (config["route"], *config["route"]["routes"]):
        route.update({"group_wait": "1s", "group_interval": "1s"} | longer)
    return config


async def resolve(manager: Manager, **alerts: dict[str, Any]) -> None:
    ended = datetime.now(UTC).isoformat()
    await manager.tell(**{name: alert | {"endsAt": ended} for name, alert in alerts.items()})


def test_the_night_is_ten_hours_in_taipei_without_a_hole_at_midnight() -> None:
    (night,) = yaml.safe_load(CONFIG.read_text())["time_intervals"]
    (interval,) = night["time_intervals"]
    assert interval["location"] == "Asia/Taipei"
    assert [(span["start_time"], span["end_time"]) for span in interval["times"]] == [
        ("22:00", "24:00"),
        ("00:00", "08:00"),
    ]


@pytest.mark.parametrize("hour", [22, 0, 6])
async def test_at_night_a_lost_gpu_is_told_and_an_idle_one_in_the_morning(tmp_path: Path, hour: int) -> None:
    mails = Mails()
    async with mail_server(mails) as port:
        config = hurried(port)
        async with alertmanager(tmp_path / "alertmanager", at_hour(hour, config)) as manager:
            await manager.tell(AmdGpuLeftIdle=idle("2h"), AmdGpuLeftIdle__=idle("12h"))
            await manager.tell(AmdGpuLost=LOST)
            await mails.arrived(ADMINISTRATORS, "[CRITICAL] AmdGpuLost: 1")
            await resolve(manager, AmdGpuLost=LOST)
            # By now the groups of the idle GPU have had their turn twice.
            await mails.arrived(ADMINISTRATORS, "[OVER] AmdGpuLost")
            assert {mail["To"] for mail in mails.kept} == {ADMINISTRATORS}

            await manager.take(at_hour(12, config))
            await mails.arrived(AMY, IDLE, "idle 2h")
            await mails.arrived(AMY, IDLE, "idle 12h")
            assert {mail["To"] for mail in mails.kept} == {ADMINISTRATORS, AMY}


async def test_the_end_is_told_once_though_two_alerts_end(tmp_path: Path) -> None:
    mails = Mails()
    alerts = {"AmdGpuLeftIdle": idle("2h"), "AmdGpuLeftIdle__": idle("12h")}
    async with mail_server(mails) as port:
        config = at_hour(12, hurried(port))
        async with alertmanager(tmp_path / "alertmanager", config) as manager:
            await manager.tell(**alerts, AmdGpuLost=LOST)
            await mails.arrived(AMY, IDLE, "idle 2h")
            await mails.arrived(AMY, IDLE, "idle 12h")
            await mails.arrived(ADMINISTRATORS, "[CRITICAL] AmdGpuLost: 1")
            await resolve(manager, **alerts)
            await mails.arrived(AMY, USED, "- n1 GPU 3")
            await resolve(manager, AmdGpuLost=LOST)
            await mails.arrived(ADMINISTRATORS, "[OVER] AmdGpuLost")
            assert len(mails.of(AMY, USED)) == 1


async def test_what_lasts_is_told_again(tmp_path: Path) -> None:
    mails = Mails()
    async with mail_server(mails) as port:
        config = at_hour(12, hurried(port, repeat_interval="1s"))
        async with alertmanager(tmp_path / "alertmanager", config) as manager:
            await manager.tell(AmdGpuLeftIdle=idle("2h"), AmdGpuLeftIdle__=idle("24h"), AmdGpuLost=LOST)
            await mails.arrived(AMY, IDLE, "idle 2h", count=2)
            await mails.arrived(ADMINISTRATORS, "[INFO] AmdGpuLeftIdle: 1", "idle 24h", count=2)
            await mails.arrived(ADMINISTRATORS, "[CRITICAL] AmdGpuLost: 1", count=2)


@pytest.mark.parametrize(
    ("labels", "repeated"),
    [
        ({"alertname": "AmdGpuLost", "severity": "critical"}, DAY / 2),
        ({"alertname": "AmdGpuLeftIdle", "idle": "2h"}, DAY),
        ({"alertname": "AmdGpuLeftIdle", "idle": "12h"}, DAY),
        ({"alertname": "AmdGpuLeftIdle", "idle": "24h"}, DAY),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else str(value),
)
def test_administrators_hear_of_a_fault_twice_a_day_and_holders_of_an_idle_gpu_once(
    labels: dict[str, str], repeated: timedelta
) -> None:
    root = delivered()["route"]
    matching = (route for route in root["routes"] if all(_fits(one, labels) for one in route["matchers"]))
    route = root | next(matching, {})
    assert _duration(route["repeat_interval"]) == repeated
    assert _duration(route["group_interval"]) < repeated


def _fits(matcher: str, labels: dict[str, str]) -> bool:
    name, _, value = matcher.partition("=")
    return labels.get(name) == value.strip('"')


def _duration(text: str) -> timedelta:
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[text[-1]]
    return timedelta(**{unit: int(text[:-1])})
