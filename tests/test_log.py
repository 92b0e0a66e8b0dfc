from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from exporter import log
from exporter.config import Log

FLOOD = """
import logging, sys
from exporter import log
from exporter.config import Log
log.configure(Log())
log.in_background()
for number in range(5000):
    logging.getLogger("test").info("line %d %s", number, "x" * 100)
print("done", flush=True)
sys.stdin.read()
"""


def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing, text=True
    ) as process:
        os.close(writing)
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "done\n"  # while the pipe is full
        with os.fdopen(reading) as stderr:
            process.stdin.close()
            lines = stderr.read().splitlines()
    assert "line 0 " in lines[0]
    assert any(line.endswith("lines of the log were lost, as nobody read it") for line in lines)


def test_what_is_logged_in_the_background_is_all_there_at_the_end() -> None:
    script = FLOOD.replace("5000", "500").replace("sys.stdin.read()", "")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert [line.split()[-2] for line in done.stderr.splitlines()] == [str(number) for number in range(500)]


def test_a_changed_format_takes_effect_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(Log(format="json"))
    logging.getLogger("test").warning("here")
    assert '"message": "here"' in capsys.readouterr().err
