"""What /metrics shows, held against a golden file; `UPDATE_GOLDEN=1 pytest tests/test_exposition.py` writes it anew."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import config, metrics
from exporter.errors import GpuLostError, TasksAuthError
from exporter.exposition import Exposition, Instruments
from exporter.model import Answer, Gpu, Health, Process, Reading, Snapshot, Task, TaskGpu
from exporter.node import Node
from tests.support.contract import Registry, families
from tests.support.loopless import at_once

GOLDEN = Path(__file__).parent / "metrics.golden.txt"
EPOCH = 1_753_113_600.0
FIRST, SECOND, XCD = "52f67b3700dcc6f3", "67c63ac3c3c637f9", "a1b2000000000001"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scene:
    """Two GPUs: one owned by two users in turn, one that fell off the bus; an hour in all."""

    def __init__(self) -> None:
        self.now = 0.0
        self.node = Node(
            "colab-gpu4",
            config.Devices(expected=8),
            config.Metering(),
            config.Tasks(url="http://127.0.0.1"),
            monotonic=lambda: self.now,
            wall=lambda: EPOCH + self.now,
        )
        self.registry = CollectorRegistry(auto_describe=False)
        self.instruments = Instruments(self.registry)

    def snapshot(self) -> Snapshot:
        return self.node.snapshot()

    def exposed(self, accept: str = "") -> str:
        return at_once(self.exposition()(accept))[0].decode()

    def exposition(self) -> Exposition:
        return Exposition(self.node.snapshot, self.registry, 1.0, lambda: self.now)

    def encoded(self, encoder: Callable[[Any], bytes]) -> bytes:
        return encoder(Registry(self.node.snapshot(), self.registry))

    def play(self) -> None:
        gpus = [
            Gpu(index, uuid, frozenset({uuid, XCD}) if index else frozenset({uuid}), "AMD Instinct MI300X",
                f"0000:0{index}:00.0", f"card{1 + 8 * index}", "6.12.12", "022.040", "SPX", "NPS1", 206_141_652_992,
                ("amdsmi", "sysfs")[index], ("27.1.0", "")[index])
            for index, uuid in enumerate((FIRST, SECOND))
        ]  # fmt: skip
        self.node.found(gpus)
        for gpu in gpus:
            self.instruments.found(gpu)
        tasks = (task("itrd", "LAB", 100, 200), task('<b>"\\\n陳', "WEBAPP", 150, 10_000))
        while self.now < 600:
            self.now += 1
            self.node.read(FIRST, reading(self.now))
            self.instruments.read_seconds.observe(0.0004)
            if self.now < 300:
                self.node.read(SECOND, Reading(self.now, 0.0, vram_used_bytes=0))
            if self.now % 30 == 0:
                self.node.answered(Answer(tasks, (), self.now))
                self.instruments.refreshes.labels("ok").inc()
        self.node.inspected(FIRST, Health({"correctable": 3, "uncorrectable": 0}, 1))
        self.node.used_by(FIRST, (Process(100, 2**31, "python3", "4f9d2a1b7c3e", "root"), Process(101, 2**30)))
        lost = GpuLostError("GPU 1 fell off the bus")
        self.node.failed(gpus[1], lost)
        self.instruments.failed(gpus[1], lost)
        self.instruments.refreshes.labels(TasksAuthError.result).inc()


def task(user: str, kind: str, start: float, end: float) -> Task:
    return Task(
        f"task-{kind}", user, kind, (TaskGpu(FIRST, "24"),), EPOCH + start, EPOCH + end, "colab-gpu4", "p", "ollama:0.6"
    )


def reading(taken: float) -> Reading:
    return Reading(
        taken,
        utilization=0.75,
        memory_controller_utilization=0.255,
        vram_used_bytes=2 * 2**30,
        power_watts=655.35,
        energy_joules=1e6 + 600 * taken,
        temperatures_celsius={"hotspot": 65.0, "memory": 50.0},
        clocks_hertz={"gfx": 2.1e9},
        throttle_residency={"ppt": int(taken)},
        throttle_ticks=int(100 * taken),
        xgmi_read_bytes={"1": int(taken) * 1024},
        xgmi_written_bytes={"1": 0},
        pcie_replays=4,
    )


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.play()
    return scene


def samples(families: Iterable[Metric], name: str) -> dict[tuple[str, ...], float]:
    """By the values of all labels but those of the device's host and unique id."""
    return {
        tuple(value for label, value in sample.labels.items() if label not in {"hostname", "gpu_uuid"}): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_the_exposition_is_the_golden_one(scene: Scene) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(scene.exposed(), encoding="utf-8")
    assert scene.exposed() == GOLDEN.read_text(encoding="utf-8")


def test_promtool_finds_no_fault(scene: Scene) -> None:
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=scene.exposed(), text=True, capture_output=True, check=False
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_openmetrics_says_the_same_as_text(scene: Scene) -> None:
    text = {sample for family in parse_text(scene.exposed()) for sample in map(str, family.samples)}
    openmetrics = {
        sample
        for family in parse_openmetrics(scene.exposed(OPENMETRICS))  # type: ignore[no-untyped-call]  # it lacks annotations
        for sample in map(str, family.samples)
    }

    assert scene.exposed(OPENMETRICS).endswith("# EOF\n")
    assert text == openmetrics


def test_openmetrics_is_the_same_however_names_should_be_escaped(scene: Scene) -> None:
    for escaping in ("allow-utf-8", "underscores", "dots", "values"):
        expected = scene.encoded(partial(openmetrics.generate_latest, escaping=escaping))

        assert scene.exposed(f"{OPENMETRICS};escaping={escaping}") == expected.decode()


def test_a_gpu_that_cannot_be_read_keeps_its_counters_and_nothing_else(scene: Scene) -> None:
    second = [line for line in scene.exposed().splitlines() if SECOND in line]
    names = {line.split("{")[0] for line in second}

    assert 'amdgpu_up{gpu="1",gpu_uuid="67c63ac3c3c637f9",hostname="colab-gpu4"} 0.0' in second
    assert not names & {"amdgpu_utilization_ratio", "amdgpu_vram_used_bytes", "amdgpu_power_watts"}
    assert {"amdgpu_observed_seconds_total", "amdgpu_owner_seconds_total", "amdgpu_exporter_unbooked_seconds"} <= names


def test_the_hardwares_own_counters_are_held_while_it_cannot_be_read(scene: Scene) -> None:
    scene.now += 60
    shown = families(scene.snapshot())

    assert samples(shown, "amdgpu_xgmi_read_bytes_total") == {("0", "1"): 600 * 1024}
    assert samples(shown, "amdgpu_pcie_replays_total") == {("0",): 4}
    assert samples(shown, "amdgpu_power_watts") == {}


def test_what_the_hardware_does_not_give_has_no_series(scene: Scene) -> None:
    shown = families(scene.snapshot())

    assert samples(shown, "amdgpu_temperature_celsius").keys() == {("0", "hotspot"), ("0", "memory")}
    assert samples(shown, "amdgpu_ecc_errors_total").keys() == {("0", "correctable"), ("0", "uncorrectable")}


def test_processes_of_one_container_and_user_are_one_series(scene: Scene) -> None:
    scene.node.used_by(FIRST, (Process(1, 5, "a", "c", "u"), Process(2, 7, "b", "c", "u"), Process(3, 1)))
    shown = families(scene.snapshot())

    assert samples(shown, "amdgpu_processes") == {("0",): 3}
    assert samples(shown, "amdgpu_process_vram_used_bytes") == {("0", "c", "u"): 12, ("0", "", ""): 1}


def test_processes_of_however_many_users_are_a_bounded_number_of_series(scene: Scene) -> None:
    scene.node.used_by(FIRST, [Process(uid, 1000 + uid, user=str(uid)) for uid in range(500)])
    found = samples(families(scene.snapshot()), "amdgpu_process_vram_used_bytes")

    assert len(found) == metrics.MOST_HOLDERS
    assert sum(found.values()) == sum(1000 + uid for uid in range(500))
    assert found["0", "", "499"] == 1499
    assert found["0", "other", "other"] == sum(1000 + uid for uid in range(500 - 31))


def test_error_counts_start_at_zero_so_that_the_first_is_an_increase(scene: Scene) -> None:
    counts = samples(scene.registry.collect(), "amdgpu_exporter_device_errors_total")

    assert counts["0", "timeout"] == 0.0
    assert counts["1", "gpu_lost"] == 1.0


def test_each_error_is_in_the_next_scrape(scene: Scene) -> None:
    exposition = scene.exposition()
    gpu = scene.snapshot().gpus[1].gpu
    for count in (1, 2, 3):
        shown = parse_text(at_once(exposition(""))[0].decode())
        assert samples(shown, "amdgpu_exporter_device_errors_total")["1", "gpu_lost"] == count
        scene.instruments.failed(gpu, GpuLostError("gone"))
        exposition.outdated()


def test_every_refresh_result_is_served_from_the_start() -> None:
    results = samples(Scene().registry.collect(), "amdgpu_exporter_task_refreshes_total")

    assert results == {(result,): 0.0 for result in ("ok", "network", "auth", "server", "payload")}


def test_a_rendering_serves_all_who_ask_before_something_is_read_anew(scene: Scene) -> None:
    exposition = scene.exposition()
    first, _ = at_once(exposition(""))
    scene.instruments.read_seconds.observe(1.0)

    assert at_once(exposition(""))[0] is first
    assert at_once(exposition(OPENMETRICS))[0] != first
    exposition.outdated()
    assert at_once(exposition(""))[0] != first


def test_what_is_put_together_of_lines_is_what_the_encoder_makes_of_all(scene: Scene) -> None:
    exposition = scene.exposition()
    for accept in ("", OPENMETRICS):
        encoder, _ = choose_encoder(accept)
        for _ in range(3):
            scene.now += 1
            scene.node.read(FIRST, reading(scene.now))
            exposition.outdated()
            assert at_once(exposition(accept))[0] == scene.encoded(encoder)


def test_a_family_that_vanished_is_not_served_from_what_was_rendered_before(scene: Scene) -> None:
    exposition = scene.exposition()
    assert b"amdgpu_power_watts" in at_once(exposition(""))[0]
    scene.now += 60

    assert b"amdgpu_power_watts" not in at_once(exposition(""))[0]


def test_a_rendering_grows_no_older_than_the_interval(scene: Scene) -> None:
    exposition = scene.exposition()
    first, _ = at_once(exposition(""))
    scene.now += 5

    assert b'amdgpu_up{gpu="0",gpu_uuid="52f67b3700dcc6f3",hostname="colab-gpu4"} 1.0' in first
    assert b'amdgpu_up{gpu="0",gpu_uuid="52f67b3700dcc6f3",hostname="colab-gpu4"} 0.0' in at_once(exposition(""))[0]


@pytest.mark.parametrize(
    "accept", ["text/plain;version=x.y", "application/openmetrics-text;version=abc", "*/*;q=z", ",;="]
)
def test_an_accept_header_that_makes_no_sense_gets_text(scene: Scene, accept: str) -> None:
    body, content_type = at_once(scene.exposition()(accept))

    assert body.decode() == scene.exposed()
    assert content_type.startswith("text/plain")


def test_ever_new_versions_and_parameters_are_answered_from_one_rendering(scene: Scene) -> None:
    exposition = scene.exposition()
    asked = [f"application/openmetrics-text; version=1.{minor}.0;x={minor}" for minor in range(50)]
    asked += [f"application/openmetrics-text; version=2.{minor}.0; escaping=allow-utf-8" for minor in range(50)]
    answers = [at_once(exposition(accept)) for accept in asked]

    assert len({id(body) for body, _ in answers}) == 1
    assert {content_type.split("; ")[1] for _, content_type in answers} == {"version=1.0.0"}


def test_renderings_do_not_pile_up_while_nothing_is_read(scene: Scene) -> None:
    exposition = scene.exposition()
    for accept in ("", "text/plain; version=1.0.0", OPENMETRICS):
        for escaping in ("underscores", "dots", "values", "allow-utf-8"):
            at_once(exposition(f"{accept};escaping={escaping}"))
            scene.now += 1

    assert len(exposition._rendered) == 1
    assert len(exposition._encodings) <= 2
