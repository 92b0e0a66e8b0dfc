"""Stored days: the account of each day that is over, in a compact file that weeks and months are summed from.

docs/stored-days.md is its format. A file is whole, of this version and as it was written, or it is made again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, TypeAdapter

from exporter.errors import StoredDayError
from exporter.report.accounting.day_account import DayAccount, DayPart, Shares
from exporter.report.accounting.rows import Sources

FILE: Final = "day.jsonl.gz"
VERSION: Final = 1

_LEVEL: Final = 6
_GZIP: Final = 31
"""What zlib calls that container, with its largest window."""
_MOST_HEAD_BYTES: Final = 10_000
_MOST_BYTES: Final = 64 * 2**20
"""Unpacked: 300,000 rows, twenty times what 1,024 GPUs come to."""


class DayHead(BaseModel):
    """The first line of a stored day."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: Literal["mi300x-exporter day"] = "mi300x-exporter day"
    version: Literal[1] = VERSION
    day: date
    timezone: str
    seconds: float
    sources: Sources
    is_whole: bool
    shares: Shares
    columns: list[str]


_PARTS: Final = TypeAdapter(tuple[DayPart, ...], config=ConfigDict(allow_inf_nan=False))
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)
_LINES: Final = 1000
"""That are packed at once."""
_SEAL_BYTES: Final = len(hashlib.sha256().hexdigest()) + 1


def dumped(account: DayAccount) -> bytes:
    """Returns the file of a day; the same bytes for the same account."""
    head = DayHead(
        day=account.day,
        timezone=account.timezone,
        seconds=account.seconds,
        sources=account.sources,
        is_whole=account.is_whole,
        shares=Shares.of(account.parts),
        columns=list(DayPart._fields),
    )
    packed, seal = io.BytesIO(), hashlib.sha256()
    with gzip.GzipFile("", "wb", _LEVEL, packed, mtime=0) as file:
        lines = chain([head.model_dump_json()], map(_ENCODER.encode, account.parts))
        while some := "".join(f"{line}\n" for line in islice(lines, _LINES)).encode():
            file.write(some)
            seal.update(some)
        file.write(_sealed(seal.hexdigest()))
    return packed.getvalue()


def loaded(file: Path) -> DayAccount:
    """Reads a stored day.

    Raises:
        FileNotFoundError: There is none.
        StoredDayError: It is truncated, edited, of another version, or cannot be read.
    """
    try:
        unpacker = zlib.decompressobj(wbits=_GZIP)
        text = unpacker.decompress(file.read_bytes(), _MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(file) from error
    except zlib.error as error:
        raise StoredDayError(f"{file}: truncated or damaged") from error
    except OSError as error:
        raise StoredDayError(f"{file}: cannot be read: {error.strerror}") from error
    if not unpacker.eof and len(text) < _MOST_BYTES:
        raise StoredDayError(f"{file}: truncated or damaged")
    if not unpacker.eof:
        raise StoredDayError(f"{file}: unpacks to more than {_MOST_BYTES // 2**20} MiB")
    body, seal = text[:-_SEAL_BYTES], text[-_SEAL_BYTES:]
    first, *lines = body.split(b"\n")[:-1] or [b""]
    head = _head(first, file)
    if seal != _seal(body) or head.columns != list(DayPart._fields):
        raise StoredDayError(f"{file}: not as it was written")
    try:
        parts = _PARTS.validate_json(b"[" + b",".join(lines) + b"]")
    except ValueError as error:
        raise StoredDayError(f"{file}: not as it was written") from error
    return DayAccount(head.day, head.timezone, head.seconds, head.sources, head.is_whole, parts)


def read_head(file: Path) -> DayHead | None:
    """Returns the first line of a stored day, which is not checked any further; None if there is none to read."""
    try:
        with gzip.open(file) as opened:
            return _head(opened.readline(_MOST_HEAD_BYTES), file)
    except (OSError, EOFError, zlib.error, StoredDayError):
        return None


def stored(directory: Path, day: date, zone: ZoneInfo) -> DayAccount:
    """Reads the account of a day from the folder of reports.

    Raises:
        FileNotFoundError: There is none.
        StoredDayError: It is not usable, or of another day or time zone.
    """
    file = directory / str(day) / FILE
    account = loaded(file)
    if (account.day, account.timezone) != (day, zone.key):
        raise StoredDayError(f"{file}: of {account.day} in {account.timezone}, not of {day} in {zone.key}")
    return account


def _head(line: bytes, file: Path) -> DayHead:
    try:
        document = json.loads(line)
        if isinstance(document, dict) and document.get("version") != VERSION:
            raise StoredDayError(f"{file}: of version {document.get('version')}, not {VERSION}")
        return DayHead.model_validate(document)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8 and of pydantic alike
        raise StoredDayError(f"{file}: not as it was written") from error


def _seal(text: bytes) -> bytes:
    return _sealed(hashlib.sha256(text).hexdigest())


def _sealed(digest: str) -> bytes:
    return digest.encode() + b"\n"
