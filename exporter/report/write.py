"""Writes the folders of a report, each whole or not at all.

    DIR/.lock             held by the one run that writes, and says which
    DIR/.partial/         where folders are made; left behind only by a crash, and then cleared by the next run
    DIR/2025-07-22/       in place of the one before in a single step, where the file system has it

Whatever else lies in a folder, such as plots made from its files, is still in the one that takes its place. What links
the folders, such as index.html, is made while the lock is held, and published with them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TextIO

from exporter.errors import ReportError
from exporter.names import visible

_log = logging.getLogger(__name__)

_HERE: Final = PurePosixPath()
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_ASIDE: Final = ".former"
_ASK_AGAIN: Final = 0.1
"""Seconds."""
_MOST_HOLDER: Final = 200
"""Characters of what a lock says of its holder."""
_LINKS: Final = ".links"
Content = bytes | Iterable[bytes]
"""Of a file; in pieces, it need never be in memory as a whole, and is made while it is written."""
Links = Callable[[Mapping[str, Path], Collection[str]], Mapping[str, bytes]]
"""Is given where each folder's files are, by its name, and which folders are new; returns contents by path.

A path within a folder replaces that file; one of a name alone lies beside the folders.
"""
_HINTS: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "name another directory with --output",
    errno.EACCES: "name another directory with --output, or let this user write there",
    errno.EPERM: "name another directory with --output, or let this user write there",
    errno.ENOTDIR: "name a directory, not a file, with --output",
    errno.EEXIST: "name a directory, not a file, with --output",
}


def whole(files: Mapping[str, Content]) -> dict[str, bytes]:
    """Returns files with each content in one piece."""
    return {path: one if isinstance(one, bytes) else b"".join(one) for path, one in files.items()}


def write(
    directory: Path, files: Mapping[str, Content], links: Links | None = None, patience: float = 60.0
) -> list[Path]:
    """Writes files under a directory, which is made if need be.

    A folder is replaced atomically. Several are replaced one after the other, all or none of them unless the process
    is killed in between. A run waits for another one that writes there.

    Args:
        directory: The DIR of `--output`.
        files: Contents by path relative to it, each within some folder.
        links: Makes what links all folders.
        patience: Seconds to wait for another run.

    Returns:
        The folders written.

    Raises:
        ReportError: It cannot be written, or another run does not end; all that was there before is as it was.
    """
    folders = _by_folder(files)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory, patience), _staging(directory) as staging:
            for folder, contents in folders.items():
                _make(staging / folder, contents, directory / folder)
            linked = _by_folder(links(_folders(directory) | _folders(staging), _folders(staging)) if links else {})
            beside = linked.pop(_HERE, {})
            for folder, contents in linked.items():
                if folder in folders:
                    _fill(staging / folder, contents)
                else:
                    _make(staging / folder, contents, directory / folder)
            _fill(staging / _LINKS, beside)
            _publish(
                [(staging / folder, directory / folder) for folder in dict.fromkeys([*folders, *linked])],
                [(staging / _LINKS / name, directory / name) for name in beside],
            )
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "see that this user can write there")
        reason = error.strerror or str(error)
        raise ReportError(
            f"{directory}: the report cannot be written: {reason}; {hint}. What was there, stays"
        ) from error
    return [directory / folder for folder in folders]


def _by_folder(files: Mapping[str, Content]) -> dict[PurePosixPath, dict[str, Content]]:
    folders: dict[PurePosixPath, dict[str, Content]] = {}
    for path, content in files.items():
        folders.setdefault(PurePosixPath(path).parent, {})[PurePosixPath(path).name] = content
    return folders


def _folders(directory: Path) -> dict[str, Path]:
    return {path.name: path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")}


@contextmanager
def _locked(directory: Path, patience: float) -> Iterator[None]:
    with (directory / ".lock").open("a+", encoding="utf-8") as lock:
        _lock(directory, lock, patience)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
        lock.truncate(0)


def _lock(directory: Path, lock: TextIO, patience: float) -> None:
    """Takes the lock, and says for whom it waits.

    The kernel can wait without an end, or not at all: so it is asked again and again.
    """
    if _taken(lock):
        return
    _log.warning("%s: waiting for another report that is being written there, by %s", directory, _holder(lock))
    until = time.monotonic() + patience
    while not _taken(lock):
        if time.monotonic() >= until:
            raise ReportError(
                f"{directory}: for {patience:g} s another report has been being written there, by {_holder(lock)}: "
                f"is it stuck? What was there, stays"
            )
        time.sleep(_ASK_AGAIN)


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    return visible(lock.read(_MOST_HOLDER)) or "some process"


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    path = directory / ".partial"
    if path.exists():
        _restore(directory)
        shutil.rmtree(path)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _restore(directory: Path) -> None:
    """Puts back the folders that a killed run had set aside, where it put none in their place."""
    for aside in [*directory.glob(f".*{_ASIDE}"), *directory.glob(f"*/.*{_ASIDE}")]:
        place = aside.with_name(aside.name.removeprefix(".").removesuffix(_ASIDE))
        if place.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(place)


def _make(folder: Path, contents: Mapping[str, Content], former: Path) -> None:
    """Makes a folder of these files, and of what else is in its former self, safe on the disk."""
    if former.exists():
        shutil.copytree(former, folder, symlinks=True, copy_function=_link, ignore=_except(former, contents))
    _fill(folder, contents)


def _fill(folder: Path, contents: Mapping[str, Content]) -> None:
    """Writes files into a folder that nobody looks into yet, safe on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).unlink(missing_ok=True)  # it may be linked to the file that is still published
        with (folder / name).open("xb") as file:
            file.writelines((content,) if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _except(folder: Path, names: Mapping[str, Content]) -> Callable[[str, list[str]], set[str]]:
    return lambda path, entries: names.keys() & entries if Path(path) == folder else set()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _publish(moves: Sequence[tuple[Path, Path]], beside: Sequence[tuple[Path, Path]]) -> None:
    """Puts each new folder in its place, then the files beside them; all former folders come back if one cannot be."""
    with ExitStack() as undo:
        for new, place in moves:
            if not place.parent.is_dir():
                place.parent.mkdir()
                undo.callback(place.parent.rmdir)
            _put(new, place)
            undo.callback(_put, place, new)
            _sync(place.parent)
        for new, place in beside:
            new.replace(place)
            _sync(place.parent)
        undo.pop_all()


def _put(folder: Path, place: Path) -> None:
    """Moves a folder to a place; what was there is then where the folder was."""
    if not place.exists():
        folder.rename(place)
    elif not _exchanged(folder, place):
        aside = place.with_name(f".{place.name}{_ASIDE}")
        place.rename(aside)
        folder.rename(place)
        aside.rename(folder)


def _exchanged(one: Path, other: Path) -> bool:
    """Swaps two folders in one step; False where system or file system cannot, as over NFS."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    if (code := ctypes.get_errno()) in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
