"""Writes whole histories into Prometheus or VictoriaMetrics, fast.

Remote write is the one way in that both have and that can carry staleness markers.
https://prometheus.io/docs/concepts/remote_write_spec/ (version 1.0)
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np
from numpy.typing import NDArray

from exporter.errors import ExporterError

STALE: float = np.array([0x7FF0000000000002], dtype=np.uint64).view(np.float64)[0]
"""The NaN that says: from here on this series is gone. Arithmetic may lose its payload; assign it as it is."""

_SLICE_SECONDS = 30 * 60.0
"""Prometheus refuses samples over an hour older than its newest, half of what its blocks span."""
_REQUEST_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Column:
    """One series and its samples."""

    labels: Mapping[str, str]
    """With `__name__`."""
    times_ms: NDArray[np.int64]
    """Unix milliseconds, ascending."""
    values: NDArray[np.float64]


async def write_series(url: str, columns: Sequence[Column], slice_seconds: float = _SLICE_SECONDS) -> None:
    """Writes series into an engine that holds nothing as late as their first samples yet.

    Args:
        url: The engine's; `/api/v1/write` is added.
        columns: The series, in any order.
        slice_seconds: All series advance together by so much, less than the engine takes late.

    Raises:
        ExporterError: The engine refused, with its words.
    """
    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        for body in _requests(columns, round(1000 * slice_seconds)):
            async with session.post(f"{url}/api/v1/write", data=io.BytesIO(_snappy(body))) as response:
                if response.status >= 300:
                    raise ExporterError(f"{url}/api/v1/write: {response.status} {(await response.text()).strip()}")


_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def _requests(columns: Sequence[Column], slice_ms: int) -> Iterator[bytes]:
    """Yields the bodies of all requests, in the order of time."""
    filled = [(column, _labels(column.labels), _samples(column)) for column in columns if len(column.times_ms)]
    slices = {n for column, _, _ in filled for n in np.unique(column.times_ms // slice_ms).tolist()}
    for start in sorted(n * slice_ms for n in slices):
        parts, size = [], 0
        for column, labels, samples in filled:
            i, j = np.searchsorted(column.times_ms, (start, start + slice_ms))
            if i == j:
                continue
            parts.append(_field(1, labels + samples[i:j].tobytes()))
            size += len(parts[-1])
            if size > _REQUEST_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )


def _samples(column: Column) -> NDArray[np.uint8]:
    """Returns one row of 18 bytes a sample: a Unix time in ms takes six varint bytes from 1971 to 2109."""
    rows = np.empty((len(column.times_ms), 18), dtype=np.uint8)
    rows[:, 0], rows[:, 1] = 0x12, 16  # TimeSeries.samples, its length
    rows[:, 2] = 0x09  # Sample.value, a double
    rows[:, 3:11] = column.values.astype("<f8").view(np.uint8).reshape(-1, 8)
    rows[:, 11] = 0x10  # Sample.timestamp, a varint
    for k in range(6):
        rows[:, 12 + k] = (column.times_ms >> (7 * k)) & 0x7F | (0x80 if k < 5 else 0)
    return rows


def _field(number: int, content: bytes) -> bytes:
    """Returns a length-delimited protobuf field."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _snappy(content: bytes) -> bytes:
    """Returns a snappy block of one literal: valid, and on loopback compression would only cost time."""
    return _varint(len(content)) + b"\xfc" + (len(content) - 1).to_bytes(4, "little") + content
