from __future__ import annotations

import subprocess
import sys

from exporter import config
from exporter.tasks.source import knows_past, task_source


def test_where_no_address_is_set_there_is_nobody_to_ask() -> None:
    assert task_source(config.Tasks()) is None
    assert not config.Tasks().has_source


def test_a_source_names_itself_with_its_address() -> None:
    source = task_source(config.Tasks(url="http://192.0.2.1:5000"))

    assert source is not None
    assert source.name == "consumption API http://192.0.2.1:5000/api/v2/consumption/task"


def test_only_a_source_that_there_is_knows_the_past() -> None:
    assert knows_past(config.Tasks(url="http://192.0.2.1:5000"))
    assert not knows_past(config.Tasks())


def test_the_libraries_of_a_source_are_loaded_only_where_it_is_used() -> None:
    program = """
import sys
from exporter import config
from exporter.tasks.source import task_source
task_source(config.Tasks())
print("aiohttp" in sys.modules)
task_source(config.Tasks(url="http://192.0.2.1"))
print("aiohttp" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["False", "True"]
