"""Who is who in a report: GPUs by several ids, hosts by several names, GPUs that move, over both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.cases import Case, Said, gpu, info, marked, report, task
from tests.support.engines import ENGINES

pytestmark = pytest.mark.asyncio(loop_scope="module")

A, B, C, D = (f"52f67b3700dcc6f{digit}" for digit in "abcd")
ALIAS = "00f67b3700dcc600"
LONG = "colab-gpu1.example.org"


def seen(uuid: str, task_id: str, gpu_id: str = "27") -> Any:
    """The series by which an exporter shows a task on a GPU."""
    return info("amdgpu_task_info", hostname="colab-gpu1", gpu="0", gpu_uuid=uuid, task_id=task_id, gpu_id=gpu_id)


def told(uuid: str, alias: str) -> Any:
    return info("amdgpu_alias_info", hostname="colab-gpu1", gpu="0", gpu_uuid=uuid, alias=alias)


HELD = [task("t", 0, 12, ALIAS)]
TWO_GPUS = replace(HELD[0], gpus=(*HELD[0].gpus, replace(HELD[0].gpus[0], uuid=B, gpu_id="28")))
TWO_HOSTS = [*gpu(A, "colab-gpu1"), *gpu(B, LONG)]
CASES = {
    "alias seen in a task": Case([*gpu(A), seen(A, "t")], HELD),
    "alias seen in a task without a number": Case([*gpu(A), seen(A, "t", "")], HELD),
    "another number seen": Case([*gpu(A), seen(A, "t", "31")], HELD),
    "alias exported": Case([*gpu(A), told(A, ALIAS)], HELD),
    "alias of one of two GPUs": Case([*gpu(A), *gpu(B, index=1), seen(A, "t"), seen(B, "t", "28")], [TWO_GPUS]),
    "stranger": Case([*gpu(A), seen(A, "other")], HELD),
    "alias of two": Case([*gpu(A), *gpu(B, index=1), told(A, ALIAS), told(B, ALIAS)], HELD),
    "other id from noon on": Case(
        [*gpu(A, end=12), *gpu(B, start=12), told(A, B), told(B, A)], [task("t", 0, 12, A), task("u", 12, 18, B)]
    ),
    "short exporter, long API": Case(gpu(A), [replace(HELD[0], gpus=task("", 0, 1, B).gpus, hostname=LONG)]),
    "long exporter, short API": Case(gpu(A, LONG), [task("t", 0, 12, B)]),
    "two hosts": Case(TWO_HOSTS, [task("t", 0, 12, C)]),
    "renamed at noon": Case([*gpu(A, end=12), *gpu(A, LONG, start=12), *gpu(B, index=1, end=6)], [task("t", 0, 3, A)]),
    "never read": Case([*gpu(A), *gpu(B, index=5, is_up=False)], [task("t", 0, 12, B)]),
    "none ever read": Case([*gpu(A, is_up=False), *gpu(B, index=5, is_up=False)], [task("t", 0, 12, B)]),
    "moved at noon": Case(
        [*gpu(A, index=3, end=12), *gpu(B, index=4, end=12), *gpu(B, index=3, start=12)],
        [task("t", 0, 6, A), task("u", 14, 20, B, "amy")],
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    directory: Path = tmp_path_factory.mktemp("engine")
    async with ENGINES[request.param](directory, marked(CASES)) as url:
        yield url


@pytest.fixture
def said(engine: str, tmp_path: Path) -> Any:
    async def run(name: str, *arguments: str, **settings: Any) -> Said:
        return await report(engine, tmp_path, name, CASES[name], *arguments, **settings)

    return run


async def document(said: Any, name: str, *arguments: str, **settings: Any) -> Any:
    answer = await said(name, "--format", "json", *arguments, **settings)
    assert answer.out, answer.err
    return answer.document


@pytest.mark.parametrize("name", ["alias seen in a task", "alias seen in a task without a number", "alias exported"])
async def test_a_gpu_that_the_api_knows_by_another_id_is_one_gpu(said: Any, name: str) -> None:
    found = await document(said, name)
    totals = found["totals"]

    assert [row["gpu_uuid"] for row in found["gpus"]] == [A]
    assert found["tasks"][0]["gpu_uuids"] == [A]
    assert (totals["capacity_gpu_hours"], totals["owned_gpu_hours"]) == (24, 12)
    assert totals["owned_busy_gpu_hours"] == pytest.approx(6, rel=1e-6)
    assert found["users"][0]["usage"]["coverage_ratio"] == pytest.approx(1)


async def test_of_a_task_on_several_gpus_the_number_tells_which_is_which(said: Any) -> None:
    found = await document(said, "alias of one of two GPUs")

    assert [(row["gpu_uuid"], row["usage"]["owned_gpu_hours"]) for row in found["gpus"]] == [(A, 12), (B, 12)]
    assert found["tasks"][0]["gpu_uuids"] == [A, B]


async def test_a_gpu_that_only_tasks_know_stays_one_of_its_own(said: Any) -> None:
    for name, others in (("stranger", 1), ("another number seen", 1), ("alias of two", 2)):
        found = await document(said, name)
        assert found["totals"]["capacity_gpu_hours"] == 24 * (others + 1)
        assert found["totals"]["owned_busy_gpu_hours"] is None or found["totals"]["owned_busy_gpu_hours"] == 0


async def test_a_gpu_whose_exporter_calls_it_by_another_id_from_noon_on_is_one_gpu(said: Any) -> None:
    for arguments in ((), ("--skip-task-info",)):
        found = await document(said, "other id from noon on", *arguments)
        assert len(found["gpus"]) == 1
        assert found["totals"]["observed_gpu_hours"] == pytest.approx(24, abs=0.02)
        assert found["totals"]["busy_gpu_hours"] == pytest.approx(12, abs=0.01)
    found = await document(said, "other id from noon on")
    assert found["totals"]["owned_gpu_hours"] == 18
    assert found["totals"]["owned_busy_gpu_hours"] == pytest.approx(9, abs=0.01)


@pytest.mark.parametrize(
    ("name", "printed", "other"),
    [("short exporter, long API", "colab-gpu1", LONG), ("long exporter, short API", LONG, "colab-gpu1")],
)
async def test_a_host_with_its_domain_is_the_host_without_it(said: Any, name: str, printed: str, other: str) -> None:
    for nodes in ({}, {other: 2}, {printed: 2}, {printed: 2, other: 2}):
        found = await document(said, name, nodes=nodes)
        assert [(row["hostname"], row["gpu_count"]) for row in found["nodes"]] == [(printed, 2)]
        assert found["totals"]["capacity_gpu_hours"] == 48
        assert {row["hostname"] for row in (*found["gpus"], *found["tasks"])} == {printed}
    whole = await document(said, name)
    for node in (printed, other, f"{other.upper()}."):
        narrowed = await document(said, name, "--node", node)
        assert narrowed["only_nodes"] == [printed]
        assert narrowed["gpus"] == whole["gpus"]


async def test_two_hosts_that_share_a_first_label_stay_two(said: Any) -> None:
    found = await document(said, "two hosts", nodes={"colab-gpu1": 1, LONG: 1})
    # The task's GPU is on the host that bears the name in full.
    assert [(row["hostname"], row["gpu_count"]) for row in found["nodes"]] == [("colab-gpu1", 2), (LONG, 1)]
    assert [row["gpu_uuid"] for row in (await document(said, "two hosts", "--node", LONG))["gpus"]] == [B]


async def test_a_host_that_was_renamed_is_one_under_the_name_it_has_now(said: Any) -> None:
    found = await document(said, "renamed at noon", nodes={"colab-gpu1": 2})
    assert [(row["hostname"], row["gpu_count"]) for row in found["nodes"]] == [(LONG, 2)]
    assert found["totals"]["observed_gpu_hours"] == pytest.approx(24 + 6, abs=0.03)


async def test_a_gpu_that_was_never_read_is_in_the_inventory_with_its_index(said: Any) -> None:
    for arguments in ((), ("--skip-task-info",)):
        found = await document(said, "never read", *arguments)
        rows = [(row["gpu"], row["gpu_uuid"], row["usage"]["observed_gpu_hours"]) for row in found["gpus"]]
        assert rows == [(0, A, pytest.approx(24)), (5, B, 0)]
        assert found["gpus"][1]["usage"]["busy_gpu_hours"] is None
        assert found["totals"]["capacity_gpu_hours"] == 48
        assert found["totals"]["coverage_ratio"] == pytest.approx(0.5)


async def test_a_cluster_of_which_nothing_was_read_is_reported_as_unobserved(said: Any) -> None:
    for arguments in ((), ("--skip-task-info",)):
        answer = await said("none ever read", "--format", "json", *arguments)
        assert answer.code == 3
        assert [row["gpu"] for row in answer.document["gpus"]] == [0, 5]
        assert answer.document["totals"]["coverage_ratio"] == 0


async def test_the_old_files_tell_of_a_gpu_that_was_never_read(said: Any, tmp_path: Path) -> None:
    for arguments in ((), ("--skip-task-info",)):
        folder = tmp_path / f"legacy{len(arguments)}"
        await said("never read", "--format", "legacy", "--output", str(folder), *arguments)
        files = folder / "colab-gpu1" / "2026-03-03"
        cells = (files / "gpu5_2026-03-03.csv").read_text().splitlines()[1:]
        assert len(cells) == 144
        assert all(line.endswith(",,") for line in cells)
        average = (files / "average_2026-03-03.csv").read_text().splitlines()
        assert average[2].startswith("GPU[5],N/A,N/A,")


async def test_the_old_files_follow_the_gpu_and_not_its_number(said: Any, tmp_path: Path) -> None:
    found = await document(said, "moved at noon")
    assert [(row["gpu"], row["gpu_uuid"]) for row in found["gpus"]] == [(3, A), (3, B)]

    await said("moved at noon", "--format", "legacy", "--output", str(tmp_path / "legacy"))
    files = tmp_path / "legacy" / "colab-gpu1" / "2026-03-03"
    third, fourth = (_observed(files / f"gpu{index}_2026-03-03.csv") for index in (3, 4))
    assert third == [True] * 144
    assert fourth == [True] * 72 + [False] * 72
    average = (files / "average_2026-03-03.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0::3] for line in average] == [
        ["GPU[3]", "amy+itrd"],
        ["GPU[4]", "未使用"],
        ["全部平均", "所有使用者"],
    ]
    assert average[2].startswith("全部平均,50.00,25.00,")
    summary = (files / "summary_2026-03-03.txt").read_text()
    assert f"GPU[4]: –, GPU 編號 27, APU-{B}" in summary
    assert f"GPU[3]: –, GPU 編號 27, APU-{B}" in summary


def _observed(file: Path) -> list[bool]:
    return [not line.endswith(",,") for line in file.read_text().splitlines()[1:]]
