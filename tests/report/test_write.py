from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exporter.errors import ReportError
from exporter.report import write as module
from exporter.report.write import write

OLD = {"2025-07-22/report.json": b"old", "2025-07-22/gpus.csv": b"old"}
NEW = {"2025-07-22/report.json": b"new", "2025-07-22/gpus.csv": b"new"}
LEGACY = {f"colab-gpu{n}/2025-07-22/gpu0.csv": b"new" for n in (1, 2)}


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below, but for the lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(params=["exchange", "rename"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that swaps folders in one step, and one that, like NFS, cannot."""
    if request.param == "rename":
        monkeypatch.setattr(module, "_exchanged", lambda *_: False)


pytestmark = pytest.mark.usefixtures("_file_system")


def test_a_directory_is_made_and_its_folder_written(tmp_path: Path) -> None:
    folders = write(tmp_path / "a" / "b", NEW | LEGACY)

    assert tree(tmp_path / "a" / "b") == NEW | LEGACY
    assert folders == [
        tmp_path / "a/b" / name for name in ("2025-07-22", "colab-gpu1/2025-07-22", "colab-gpu2/2025-07-22")
    ]


def test_content_in_pieces_is_written_in_their_order_and_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    write(tmp_path, {**OLD, "2025-07-22/report.json": iter([b"o", b"", b"ld"])})
    assert tree(tmp_path) == OLD
    with pytest.raises(ReportError, match="free some space"):
        write(tmp_path, {**NEW, "2025-07-22/report.json": failing()})
    assert tree(tmp_path) == OLD


def test_a_second_run_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    write(tmp_path, NEW)

    assert tree(tmp_path) == NEW
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "2025-07-22"}


def test_what_others_keep_in_a_folder_stays(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    plots = tmp_path / "2025-07-22" / "plots"
    plots.mkdir()
    (plots / "a.png").write_bytes(b"plot")
    (plots / "gpus.csv").write_bytes(b"theirs")
    (tmp_path / "2025-07-22" / "latest").symlink_to("nowhere")
    write(tmp_path, NEW)

    kept = {"2025-07-22/plots/a.png": b"plot", "2025-07-22/plots/gpus.csv": b"theirs"}
    assert tree(tmp_path) == NEW | kept
    assert (tmp_path / "2025-07-22" / "latest").is_symlink()


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        write(tmp_path / "reports", NEW)
    finally:
        os.umask(former)

    assert (tmp_path / "reports" / "2025-07-22").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "reports" / "2025-07-22" / "gpus.csv").stat().st_mode & 0o777 == 0o640


def child(run: Callable[[], object]) -> int:
    """Runs it in a process of its own; the status to wait for."""
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    try:
        run()
    except ReportError as error:
        sys.stderr.write(str(error))
        os._exit(3)
    except BaseException:  # noqa: BLE001  the child must not go on as a second pytest
        os._exit(99)
    os._exit(0)


def killed_at(step: int, run: Callable[[], object]) -> bool:
    """Whether it was killed, at its nth use of the file system; False: it was done before."""
    seen = 0

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal seen
        if event.startswith(("os.", "open", "shutil.", "fcntl.")):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted() -> None:
        sys.addaudithook(count)
        run()

    status = child(counted)
    assert status in (0, signal.SIGKILL)
    return status != 0


def steps(run: Callable[[int], bool]) -> Iterator[int]:
    for step in range(1, 1000):
        if not run(step):
            return
        yield step
    raise AssertionError("it never ends")


def test_a_run_killed_anywhere_leaves_the_old_folder_or_the_new_and_the_next_clears_up(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outcomes = set()
    directory = tmp_path / "0"

    def run(step: int) -> bool:
        nonlocal directory
        directory = tmp_path / str(step)
        write(directory, OLD | {"2025-07-21/other.csv": b"other"})
        return killed_at(step, lambda: write(directory, NEW))

    for _ in steps(run):
        folder = directory / "2025-07-22"
        if folder.exists():
            found = tree(folder)
            assert found in ({"gpus.csv": b"old", "report.json": b"old"}, {"gpus.csv": b"new", "report.json": b"new"})
            outcomes.add(found["gpus.csv"])
        else:
            assert request.node.callspec.params["_file_system"] == "rename"
        write(directory, {"2025-07-23/gpus.csv": b"next"})
        left = tree(directory)
        assert left.pop("2025-07-21/other.csv") == b"other"
        assert left.pop("2025-07-23/gpus.csv") == b"next"
        assert left in (OLD, NEW)
        assert {path.name for path in directory.iterdir()} == {".lock", "2025-07-21", "2025-07-22", "2025-07-23"}
    assert outcomes == {b"old", b"new"}


def test_a_file_that_cannot_be_written_to_its_end_changes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, OLD)

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        write(tmp_path, {**NEW, "2025-07-22/report.html": b"x" * 5000})

    assert os.waitstatus_to_exitcode(child(run)) == 3
    assert f"{tmp_path}: the report cannot be written: File too large" in capfd.readouterr().err
    assert tree(tmp_path) == OLD
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "2025-07-22"}


def test_if_one_folder_cannot_be_put_in_place_all_former_ones_are_put_back(tmp_path: Path) -> None:
    former = dict.fromkeys(LEGACY, b"old")
    write(tmp_path, former)
    (tmp_path / "file").touch()

    with pytest.raises(ReportError):
        write(tmp_path, {**LEGACY, "new/2025-07-22/gpu0.csv": b"new", "file/2025-07-22/gpu0.csv": b"new"})

    assert tree(tmp_path) == {**former, "file": b""}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_where_a_directory_should_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ReportError, match=rf"^{tmp_path / place}: .*name a directory, not a file, with --output"):
        write(tmp_path / place, NEW)
    assert tree(tmp_path) == {"file": b""}


def test_a_file_in_the_place_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "2025-07-22").write_bytes(b"a note")

    with pytest.raises(ReportError, match="What was there, stays"):
        write(tmp_path, NEW)
    assert tree(tmp_path) == {"2025-07-22": b"a note"}


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ReportError, match=r"^/sys/reports: the report cannot be written: "):
        write(Path("/sys/reports"), NEW)


class Told(logging.Handler):
    """Keeps the first message, and says when it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.message = ""
        self.is_told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.message = record.getMessage()
        self.is_told.set()


def test_a_run_says_which_other_one_it_waits_for_and_goes_on_when_that_ends(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    told = Told()
    log = logging.getLogger("exporter.report.write")
    log.addHandler(told)
    try:
        with ThreadPoolExecutor(1) as pool, (tmp_path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write("process 7 on gpu1\x1b[2J")
            lock.flush()
            run = pool.submit(write, tmp_path, NEW)
            assert told.is_told.wait(timeout=60)
            assert tree(tmp_path) == OLD
            fcntl.flock(lock, fcntl.LOCK_UN)
            run.result()
    finally:
        log.removeHandler(told)
    assert "waiting for another report" in told.message
    assert told.message.endswith("by process 7 on gpu1\ufffd[2J")
    assert tree(tmp_path) == NEW


def test_a_run_gives_up_on_another_one_that_does_not_end(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7 on gpu1")
        lock.flush()
        with pytest.raises(ReportError, match="by process 7 on gpu1: is it stuck"):
            write(tmp_path, NEW, patience=0.0)
    assert tree(tmp_path) == OLD


def test_a_lock_names_its_holder_for_as_long_as_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append((tmp_path / ".lock").read_text()))
    write(tmp_path, NEW)
    assert set(seen) == {f"process {os.getpid()} on {socket.gethostname()}"}
    assert (tmp_path / ".lock").read_text() == ""


def test_runs_at_once_leave_the_whole_of_one(tmp_path: Path) -> None:
    contents = [{"2025-07-22/a": bytes([n]) * 1000, "2025-07-22/b": bytes([n]) * 1000} for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda files: write(tmp_path, files), contents))

    assert tree(tmp_path) in contents
