from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.devices import amdsmi
from exporter.devices.process import Answer
from exporter.devices.protocol import Verb
from exporter.devices.roster import Roster
from exporter.devices.source import DeviceSink
from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Reading


class Found(DeviceSink):
    """Remembers which GPUs it was told of."""

    def __init__(self) -> None:
        self.gpus: list[list[int]] = []

    def found(self, gpus: Sequence[Gpu]) -> None:
        self.gpus.append([gpu.index for gpu in gpus])

    def read(self, uuid: str, reading: Reading, seconds: float) -> None: ...
    def inspected(self, uuid: str, health: Health) -> None: ...
    def failed(self, gpu: Gpu | None, error: DeviceError) -> None: ...
    def recovered(self, gpu: Gpu | None) -> None: ...
    def restarted(self, reason: str) -> None: ...


def identify(roster: Roster, address: str, gpu: Gpu) -> None:
    roster.heard(roster.packages[address], Verb.IDENTIFY, Answer(0.0, gpu, None))


def test_gpus_are_announced_by_index_and_only_when_they_change() -> None:
    sink = Found()
    roster = Roster(sink)
    roster.enter(["0000:05:00", "0000:07:00"])
    roster.announce()
    identify(roster, "0000:05:00", Gpu(1, "b" * 16, frozenset({"b" * 16})))
    identify(roster, "0000:07:00", Gpu(0, "a" * 16, frozenset({"a" * 16})))
    roster.announce()
    roster.announce()
    assert sink.gpus == [[0, 1]]


def test_a_package_that_a_worker_does_not_see_is_missing_but_remembered() -> None:
    roster = Roster(Found())
    assert roster.enter(["0000:05:00", "0000:07:00"]) == []
    assert [package.address for package in roster.enter(["0000:07:00"])] == ["0000:05:00"]
    assert roster.packages.keys() == {"0000:05:00", "0000:07:00"}


def test_the_kernel_tells_a_unique_id_where_it_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amdsmi, "_PCI_DEVICES", tmp_path)
    (tmp_path / "0000:05:00.0").mkdir()
    (tmp_path / "0000:05:00.0" / "unique_id").write_text("52f67b3700dcc6f3\n")
    assert amdsmi._unique_id_of_kernel("0000:05:00.0") == "52f67b3700dcc6f3\n"
    assert amdsmi._unique_id_of_kernel("0000:07:00.0") is None
