"""What systemd tells the service in its environment."""

from __future__ import annotations

import pytest

from exporter.systemd import feed_watchdog


@pytest.mark.parametrize("told", ["", "soon", "1e6"])
async def test_a_watchdog_without_a_number_is_not_fed_and_the_log_says_so(
    told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", told)
    await feed_watchdog()
    assert f"WATCHDOG_USEC is {told!r}, which is no number" in caplog.text


@pytest.mark.parametrize("told", ["0", "-5"])
async def test_without_a_watchdog_nothing_is_fed(
    told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", told)
    await feed_watchdog()
    assert not caplog.records
