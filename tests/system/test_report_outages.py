"""Tasks that start and end while scrapes fail, over both engines: what is whose follows from the owner series."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.cases import hour, marked, report
from tests.support.engines import ENGINES
from tests.support.scripted import HOSTNAME, Script, unscraped

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPTS = {
    "an owner is back": Script(
        [[(-4, 0.1), (9, 0.8)]],
        [("anna", 0, 3), ("bert", 6, 9), ("anna", 9, 20)],
        unscraped((8 + 5 / 6, 10 + 1 / 3)),
    ),
    "an owner is back after a short stay": Script(
        [[(-4, 0.9), (9, 0.1)]],
        [("anna", 3, 3.3), ("bert", 6, 9), ("anna", 9, 20)],
        unscraped((8 + 5 / 6, 10 + 1 / 3)),
    ),
    "one of three leaves": Script(
        [[(-4, 0.0), (11, 0.9)]],
        [("anna", 8, 11), ("bert", 8, 20), ("carl", 8, 20)],
        unscraped((10, 12)),
    ),
    "one joins two": Script(
        [[(-4, 0.0), (11, 0.9)]],
        [("anna", 11, 20), ("bert", 8, 20), ("carl", 8, 20)],
        unscraped((10, 12)),
    ),
    "two tasks of one, one of another": Script(
        [[(-4, 0.2), (10.5, 0.9), (11.5, 0.0)]],
        [("anna", 8, 10.5), ("anna", 8, 20), ("bert", 10.5, 20), ("carl", 11.5, 20)],
        unscraped((10, 12)),
    ),
    "born unseen": Script(
        [[(-4, 0.2), (10.5, 0.9)]],
        [("anna", 8, 10.5), ("bert", 10.5, 20)],
        unscraped((10, 11.25)),
    ),
    "born unseen after a restart": Script(
        [[(-4, 0.0), (10, 0.5)]],
        [("anna", 10, 20)],
        replace(unscraped((9, 12)), stopped=[(HOSTNAME, (hour(9.5), hour(9.75)))]),
    ),
    "across midnight": Script(
        [[(-4, 0.9), (-1 / 6, 0.0), (1 / 6, 0.5)]],
        [("anna", -3, -1 / 6), ("bert", 1 / 6, 12)],
        unscraped((-0.5, 0.5)),
    ),
    "across the next midnight": Script(
        [[(-4, 0.5), (23.8, 0.0), (24 + 1 / 6, 0.9)]],
        [("anna", 3, 23.8), ("bert", 24 + 1 / 6, 30)],
        unscraped((23.5, 24.5)),
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    directory: Path = tmp_path_factory.mktemp("engine")
    columns = marked({name: script.lived() for name, script in SCRIPTS.items()})
    async with ENGINES[request.param](directory, columns) as url:
        yield url


async def said(engine: str, directory: Path, name: str, *arguments: str) -> Any:
    answer = await report(engine, directory, name, SCRIPTS[name].lived(), "--format", "json", *arguments)
    assert answer.out, answer.err
    return answer.document


@pytest.mark.parametrize("name", SCRIPTS)
async def test_everybody_gets_what_was_done_while_scrapes_failed(engine: str, tmp_path: Path, name: str) -> None:
    found = await said(engine, tmp_path, name)
    busy = {row["username"]: row["usage"]["busy_gpu_hours"] for row in found["users"]}
    assert busy == {user: pytest.approx(SCRIPTS[name].busy_hours(user), abs=0.005) for user in busy}
    assert found["totals"]["busy_gpu_hours"] == pytest.approx(SCRIPTS[name].all_busy_hours(), abs=0.005)


@pytest.mark.parametrize("name", ["an owner is back", "one joins two", "born unseen", "born unseen after a restart"])
async def test_labels_tell_what_an_owner_did_who_came_while_scrapes_failed(
    engine: str, tmp_path: Path, name: str
) -> None:
    found = await said(engine, tmp_path, name, "--skip-task-info")
    busy = {row["username"]: row["usage"]["busy_gpu_hours"] for row in found["users"]}
    assert busy == {user: pytest.approx(SCRIPTS[name].busy_hours(user), abs=0.02) for user, *_ in SCRIPTS[name].held}
