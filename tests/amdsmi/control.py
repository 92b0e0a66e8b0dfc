"""The shared memory through which a test steers the simulated library; the C header is made from it."""

from __future__ import annotations

import ctypes
from enum import IntEnum

MAX_GPUS = 64
MAX_PATCHES = 48


class Call(IntEnum):
    """The groups of calls that can be made to fail, each on its own."""

    IDENTIFY = 0
    METRICS = 1
    VRAM = 2
    ECC = 3
    PAGES = 4


class SimulatedFault(ctypes.Structure):
    """What happens to a call, in this order."""

    _fields_ = [
        ("calls", ctypes.c_uint64),  # how often it was made; the library counts
        ("delay_us", ctypes.c_uint32),
        ("hang", ctypes.c_uint32),  # it does not return while this is set
        ("crashes", ctypes.c_uint32),  # so many calls, in whatever process, die of SIGSEGV
        ("error", ctypes.c_uint32),  # the status returned
    ]


class SimulatedPatch(ctypes.Structure):
    """Bytes put into the metrics over what the simulation says."""

    _fields_ = [
        ("offset", ctypes.c_uint32),
        ("size", ctypes.c_uint32),  # 0: unused
        ("value", ctypes.c_uint64),
    ]


class SimulatedGpu(ctypes.Structure):
    """One physical GPU. Its load is a square wave over CLOCK_MONOTONIC; a period of 0 is always low."""

    _fields_ = [
        ("unique_id", ctypes.c_uint64),
        ("present", ctypes.c_uint32),
        ("no_access", ctypes.c_uint32),
        ("partitions", ctypes.c_uint32),  # 1, 2, 4, 8: SPX, DPX, QPX, CPX
        ("restless", ctypes.c_uint32),  # sensors and clocks differ from second to second, however steady the load
        ("period", ctypes.c_double),
        ("duty", ctypes.c_double),  # the part of the period that is high
        ("phase", ctypes.c_double),  # when a high begins
        ("utilization_low", ctypes.c_double),  # percent
        ("utilization_high", ctypes.c_double),
        ("power_low", ctypes.c_double),  # watts
        ("power_high", ctypes.c_double),
        ("energy_offset", ctypes.c_double),  # joules
        ("ppt_throttled", ctypes.c_double),  # the part of the time spent throttled
        ("vram_total", ctypes.c_uint64),
        ("vram_low", ctypes.c_uint64),
        ("vram_high", ctypes.c_uint64),
        ("ecc", ctypes.c_uint64 * 3),  # correctable, uncorrectable, deferred
        ("bad_pages", ctypes.c_uint64),
        ("faults", SimulatedFault * len(Call)),
        ("patches", SimulatedPatch * MAX_PATCHES),
    ]


class SimulatedNode(ctypes.Structure):
    """The whole control file."""

    _fields_ = [
        ("gpu_count", ctypes.c_uint32),
        ("noise", ctypes.c_uint32),  # print to stdout at every call
        ("version", ctypes.c_uint32 * 3),
        ("unused", ctypes.c_uint32),
        ("init", SimulatedFault),
        ("gpus", SimulatedGpu * MAX_GPUS),
    ]
