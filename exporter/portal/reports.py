"""The folder of reports: which of its files are reports, and how they are read.

Nothing else of the disk can be reached: a path consists of names that reports have, and no name is followed that is a
symbolic link.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from exporter.names import natural

CALENDAR: Final = "index.html"
_DATE: Final = r"\d{4}-\d\d-\d\d"
_FOLDER: Final = re.compile(rf"{_DATE}(_{_DATE})?|\d{{4}}-W\d\d|\d{{4}}-\d\d", re.ASCII)
_FILES: Final = (
    *("report.html", "brief.txt", "summary.txt", "summary-full.txt", "report.md", "report.xlsx"),
    *("gpus.csv", "users.csv", "tasks.csv", "report.json"),
)
_HOST: Final = re.compile(r"(?!\.)[\w.-]+")
_DAY: Final = re.compile(_DATE, re.ASCII)
_LEGACY: Final = re.compile(rf"((gpu\d+|average)_({_DATE})\.csv|summary_({_DATE})\.txt)", re.ASCII)
"""Of a host's day."""
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of a report's page, beside its own, which names the one style sheet and the one script that it has."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    is_being_written: bool
    problem: str | None
    """Why it cannot be read, in English, as the system says it."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.folders and not self.files


def is_file(path: Sequence[str]) -> bool:
    """Returns whether a path below the folder of reports, name by name, is one that a report can have."""
    match path:
        case [name]:
            return name == CALENDAR
        case [folder, name]:
            return _FOLDER.fullmatch(folder) is not None and name in _FILES
        case [host, day, name]:
            return is_folder([host, day]) and _LEGACY.fullmatch(name) is not None and f"_{day}." in name
    return False


def is_folder(path: Sequence[str]) -> bool:
    """Returns whether a path is one of a folder that can have reports; the empty path is the folder of all."""
    match path:
        case []:
            return True
        case [name]:
            return _FOLDER.fullmatch(name) is not None or _HOST.fullmatch(name) is not None
        case [host, day]:
            return _HOST.fullmatch(host) is not None and _DAY.fullmatch(day) is not None
    return False


def content_type(name: str) -> str:
    """Returns the type of a report's file."""
    return _TYPES[Path(name).suffix]


def opened(root: Path, path: Sequence[str]) -> BinaryIO:
    """Opens a file that `is_file`.

    Raises:
        OSError: It cannot be read, or is none.
    """
    *folders, name = path
    with _folder(root, folders) as folder:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise FileNotFoundError(name)
    return file


def listed(root: Path, path: Sequence[str]) -> Listing:
    """Returns what of a folder that `is_folder` are reports: folders the latest first, then those of hosts."""
    try:
        with _folder(root, path) as folder, os.scandir(folder) as entries:
            found = [
                (one.name, one.is_dir(follow_symlinks=False))
                for one in entries
                if not one.is_symlink() and (path or not one.is_dir() or _has_reports(root, one.name))
            ]
    except FileNotFoundError:
        return Listing((), (), is_being_written(root), None)
    except OSError as error:
        return Listing((), (), is_being_written=False, problem=error.strerror or str(error))
    folders = [name for name, is_directory in found if is_directory and is_folder([*path, name])]
    dated = sorted((name for name in folders if name[:4].isdecimal() and _FOLDER.fullmatch(name)), reverse=True)
    files = [name for name, is_directory in found if not is_directory and is_file([*path, name])]
    return Listing(
        (*dated, *sorted(set(folders) - set(dated), key=natural)),
        tuple(sorted(files, key=lambda name: (_FILES.index(name) if name in _FILES else len(_FILES), natural(name)))),
        is_being_written(root),
        None,
    )


def _has_reports(root: Path, name: str) -> bool:
    """Returns whether a folder is one of a report, or one of a host with folders of days."""
    if _FOLDER.fullmatch(name):
        return True
    try:
        with _folder(root, [name]) as below, os.scandir(below) as entries:
            return _HOST.fullmatch(name) is not None and any(_DAY.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def is_being_written(root: Path) -> bool:
    """Returns whether some run of `exporter report` holds the folder."""
    with suppress(OSError), (root / ".lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _folder(root: Path, path: Sequence[str]) -> Iterator[int]:
    """Gives a descriptor of a folder below another, of whose names none is a symbolic link."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
