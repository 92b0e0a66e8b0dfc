"""What is told of GPUs goes by the instants that words speak of, whichever worker they come from, and when."""

from __future__ import annotations

import logging

import pytest

from exporter.devices.protocol import Batch, Failure
from exporter.devices.supervisor.roster import Roster
from exporter.errors import ReadFailedError
from exporter.model import Gpu, Reading
from tests.support.recorder import Recorder, faults_told

ADDRESS = "0000:05:00"
UUID = "52f67b3700dcc6f3"
BROKEN = Failure("read_failed", "gpu_metrics: 0 bytes")


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def roster(sink: Recorder) -> Roster:
    roster = Roster(sink)
    roster.hear(Batch(gpus=[(ADDRESS, Gpu(0, UUID))], present=[ADDRESS]))
    return roster


def read(taken: float) -> Batch:
    return Batch(readings=[(ADDRESS, 0.001, Reading(taken, 0.5))])


def broken(at: float) -> Batch:
    return Batch(failures=[(ADDRESS, at, BROKEN)])


def test_a_gpu_that_reads_again_is_not_said_to_fail_as_it_did_before(
    sink: Recorder, roster: Roster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    for told in (broken(1.0), read(3.0), broken(2.0), read(2.5), read(4.0)):
        roster.hear(told)
    assert sink.kinds(UUID) == [ReadFailedError]
    assert sink.recoveries == [UUID]
    assert len(faults_told(caplog)) == 2


def test_a_gpu_that_fails_is_not_said_to_read_again_as_it_did_before(sink: Recorder, roster: Roster) -> None:
    for told in (broken(3.0), read(2.0)):
        roster.hear(told)
    assert not sink.recoveries
    assert [reading.taken for reading in sink.readings[UUID]] == [2.0]  # that time was observed all the same


def test_of_one_batch_the_later_word_stands(sink: Recorder, roster: Roster) -> None:
    roster.hear(Batch(readings=read(1.0).readings, failures=broken(2.0).failures))
    assert not sink.recoveries
    roster.hear(Batch(readings=read(4.0).readings, failures=broken(3.0).failures))
    assert sink.recoveries == [UUID]


def test_no_reading_is_told_after_a_younger_one(sink: Recorder, roster: Roster) -> None:
    for told in (read(2.0), read(1.0), read(2.0), read(3.0)):
        roster.hear(told)
    assert [reading.taken for reading in sink.readings[UUID]] == [2.0, 3.0]
