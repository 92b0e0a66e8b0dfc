"""Every error the project raises on purpose, each with words for the operator.

ExporterError
├── UsageError                   the command line asks for something that cannot be
├── ConfigError                  the config file, or a file it names, is not usable
├── ListenError                  the endpoint cannot be opened
├── CheckFailedError             `exporter check` found a fault
├── DeviceError                  amdsmi or a GPU; `kind` is the label of amdgpu_exporter_device_errors_total
│   ├── LibraryMissingError      libamd_smi.so cannot be loaded
│   ├── LibraryMismatchError     it does not fit its bindings
│   ├── DriverMissingError       no amdgpu driver, or no GPU
│   ├── PermissionDeniedError    no access to /dev/kfd or /dev/dri
│   ├── ReadTimeoutError         a call did not come back within `devices.timeout`
│   ├── WorkerCrashedError       the worker process died
│   ├── GpuLostError             the GPU fell off the bus
│   ├── ImplausibleError         a reading holds what cannot be
│   └── ReadFailedError          any other failure of the library or the kernel
│       └── UnknownTableError    the driver writes a table that is not known here
├── TasksError                   the source of owners; `result` is the label of amdgpu_exporter_task_refreshes_total
│   ├── TasksNetworkError        no route, refused, time-out
│   ├── TasksAuthError           token missing, expired or malformed; munge or a file says no
│   ├── TasksServerError         the server, or scontrol, says it failed; a redirect
│   └── TasksPayloadError        an answer that is not what the source promises
├── HistoryError                 Prometheus' HTTP API
│   ├── HistoryUnreachableError  no route, refused, time-out
│   ├── HistoryAuthError         refused for lack of credentials
│   ├── HistoryQueryError        the server refuses or fails a query
│   ├── HistoryPayloadError      an answer that is not Prometheus' JSON
│   └── HistoryTasksError        it tells of no tasks, or not when they ended
├── DeliveryError                a report did not reach one of report.deliver
└── ReportError                  a report cannot be made or written
    ├── ConservationError        shares and totals disagree
    ├── ImpossibleError          the history says what cannot be
    └── StoredDayError           the stored account of a day is not usable
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class ExporterError(Exception):
    """What failed, where, and what to do about it, as one message."""


class UsageError(ExporterError):
    """The command line asks for something that cannot be."""


class ConfigError(ExporterError):
    """The config file, or a file it names, is not usable.

    Args:
        words: A line for each fault: `key: what is wrong, what to do`.
        where: The file that says so; empty: not known yet, `said_in` fills it in.
    """

    def __init__(self, words: str, *, where: str = "") -> None:
        super().__init__(words)
        self.where = where

    def __str__(self) -> str:
        """Returns each fault as `file: key: …`."""
        lines = super().__str__().splitlines()
        return "\n".join(f"{self.where}: {line}" if self.where else line for line in lines)


@contextmanager
def said_in(file: object) -> Iterator[None]:
    """Names a config file (None: there is none) in a ConfigError of the block that names none itself."""
    try:
        yield
    except ConfigError as error:
        error.where = error.where or str(file or "")
        raise


class ListenError(ExporterError):
    """The endpoint cannot be opened."""


class CheckFailedError(ExporterError):
    """`exporter check` found a fault."""


class DeviceError(ExporterError):
    """Something is wrong with amdsmi or a GPU."""

    kind: ClassVar[str] = "error"


class LibraryMissingError(DeviceError):
    """libamd_smi.so, or the bindings themselves, cannot be loaded."""

    kind = "library_missing"


class LibraryMismatchError(DeviceError):
    """The library and its bindings do not fit each other."""

    kind = "library_mismatch"


class DriverMissingError(DeviceError):
    """There is no amdgpu driver, or it has no GPU."""

    kind = "no_driver"


class PermissionDeniedError(DeviceError):
    """The process may not open /dev/kfd or /dev/dri."""

    kind = "permission"


class ReadTimeoutError(DeviceError):
    """A call did not come back within `devices.timeout`."""

    kind = "timeout"


class WorkerCrashedError(DeviceError):
    """The worker process died."""

    kind = "crash"


class GpuLostError(DeviceError):
    """The GPU fell off the bus."""

    kind = "gpu_lost"


class ImplausibleError(DeviceError):
    """A reading holds values that cannot be; they are left out."""

    kind = "implausible"


class ReadFailedError(DeviceError):
    """The library or the kernel failed in some other way."""

    kind = "read_failed"


class UnknownTableError(ReadFailedError):
    """The driver writes `gpu_metrics` of a revision that is not known here."""


OF_ONE_GPU = (ReadTimeoutError, WorkerCrashedError, GpuLostError, ImplausibleError, ReadFailedError)
"""What may be wrong with one GPU while the others are well."""


class TasksError(ExporterError):
    """The source of owners gave no usable answer."""

    result: ClassVar[str] = "error"


class TasksNetworkError(TasksError):
    """No route, refused, or no answer in time."""

    result = "network"


class TasksAuthError(TasksError):
    """The token is missing, expired or malformed."""

    result = "auth"


class TasksServerError(TasksError):
    """The server says that it failed, or sends us elsewhere."""

    result = "server"


class TasksPayloadError(TasksError):
    """The answer is not what the API promises."""

    result = "payload"


class HistoryError(ExporterError):
    """Prometheus' HTTP API gave no usable answer."""


class HistoryUnreachableError(HistoryError):
    """No route, refused, or no answer in time."""


class HistoryAuthError(HistoryError):
    """Refused for lack of valid credentials."""


class HistoryQueryError(HistoryError):
    """The server refuses or fails a query."""


class HistoryPayloadError(HistoryError):
    """The answer is not Prometheus' JSON."""


class HistoryTasksError(HistoryError):
    """The scrape history does not tell which tasks there were; nothing is wrong with its server."""


class DeliveryError(ExporterError):
    """A report did not reach one of `report.deliver`; that there is a report, stays."""


class ReportError(ExporterError):
    """A report cannot be made or written."""


class ConservationError(ReportError):
    """Shares and totals disagree: a defect, and nothing is written."""


class ImpossibleError(ReportError):
    """The history says what cannot be, such as more busy time than time, and nothing is written."""


class StoredDayError(ReportError):
    """The stored account of a day is not usable: it is made again."""
