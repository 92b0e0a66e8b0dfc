"""Reading files of the kernel: what may go wrong with one, as typed errors."""

from __future__ import annotations

import errno
import os
import re

from exporter.errors import DeviceError, GpuLostError, PermissionDeniedError, ReadFailedError

_MOST_BYTES = 65536
"""No file of sysfs is as large."""
_WHOLE = re.compile(r"[0-9]{1,20}")
"""All that 64 bits can hold."""
_GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR}
_DENIED = {errno.EACCES, errno.EPERM}


def contents(path: str) -> bytes:
    """Returns what a file holds.

    Raises:
        GpuLostError: there is no such file.
        PermissionDeniedError: it may not be read.
        ReadFailedError: the driver fails to answer.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _MOST_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _typed(path, error) from error


def text(path: str) -> str:
    """Returns a file's text without the space around it; empty where it cannot be had."""
    try:
        return contents(path).decode(errors="replace").strip()
    except DeviceError:
        return ""


def number(path: str) -> int | None:
    """Returns a file's number; None where it has none, or cannot be had."""
    return whole(text(path))


def whole(digits: str) -> int | None:
    """Returns the number that some digits spell; None for anything else, and for more than the kernel ever writes."""
    return int(digits) if _WHOLE.fullmatch(digits) else None


def names(path: str) -> list[str]:
    """Returns what a folder holds, in order; nothing where it cannot be had."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  names are all that is wanted
    except OSError:
        return []


def _typed(path: str, error: OSError) -> DeviceError:
    message = f"{path}: {error.strerror}"
    if error.errno in _GONE:
        return GpuLostError(message)
    return PermissionDeniedError(message) if error.errno in _DENIED else ReadFailedError(f"{message}; see dmesg")
