"""The image, built once, containers of it, and what is in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.engine import BASE, IMAGE, Container, Engine
from tests.support import not_tested
from tests.support.debian import UnavailableError

ContainerMaker = Callable[..., Container]
_PATIENCE_SECONDS = 120.0
_ROW = "size"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """podman, with the image in its store."""
    with contextlib.ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="image-"))
        try:
            podman = Engine(Path(folder))
            ending.callback(podman.close)
            podman.build()
        except UnavailableError as error:
            pytest.skip(f"NOT TESTED: the image cannot be built here: {error}")
        yield podman


@pytest.fixture
def container(engine: Engine, tmp_path: Path) -> Iterator[ContainerMaker]:
    """Starts the exporter with simulated GPUs and these keys of the config, and waits until it says that it serves."""
    numbers = itertools.count()
    with contextlib.ExitStack() as ending:

        def start(*files: Path, **config: Any) -> Container:
            name = f"exporter-{next(numbers)}"
            (folder := tmp_path / name).mkdir()
            for file in files:
                Path(shutil.copy(file, folder)).chmod(0o444)
            (folder / "config.yaml").write_text(json.dumps({"devices": {"source": "simulated"}} | config))
            running = engine.start(name, folder)
            ending.callback(running.remove)
            until(lambda: "serving" in running.log(), running)
            return running

        yield start


def until(condition: Callable[[], bool], container: Container) -> None:
    """Returns once a condition holds; fails with the container's log if it never does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, container.log()
        time.sleep(0.2)


@pytest.fixture
def sizes(engine: Engine, record_property: Callable[[str, object], None]) -> dict[str, int]:
    """Bytes of the image and of its base."""
    known = {name: engine.size(name) for name in (IMAGE, BASE)}
    record_property(_ROW, f"the image has {known[IMAGE] / 1e6:.0f} MB, {known[BASE] / 1e6:.0f} of them Debian's base")
    return known


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the size, and what was not tested."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == _ROW:
                terminalreporter.write_line(str(value))
    not_tested.tell(terminalreporter)
