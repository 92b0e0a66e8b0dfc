"""The 64-bit unique id of a GPU, in the one spelling used here: 16 lower-case hex digits.

The kernel, the HIP runtime, amdsmi and the consumption API each spell the same id in their own way:

    52f67b3700dcc6f3                        sysfs unique_id
    APU-52f67b3700dcc6f3                    consumption API
    GPU-52f67b3700dcc6f3                    rocminfo, amdsmi's hip_uuid
    0x52F67B3700DCC6F3                      amdsmi's asic_serial
    52ff74a1-0000-1000-80f6-7b3700dcc6f3    amdsmi's device UUID

In the UUID the id's bytes stand apart: bits 63-56, a function or partition byte and the PCI device id (both
of no account here), two constant groups, bits 55-48 behind `80`, and bits 47-0.
"""

from __future__ import annotations

import re

_HEX = re.compile(r"(?:apu-|gpu-|0x)?([0-9a-f]{1,16})")
_UUID = re.compile(r"([0-9a-f]{2})[0-9a-f]{6}-0000-1000-80([0-9a-f]{2})-([0-9a-f]{12})")
_NO_ID = {"0" * 16, "f" * 16}


def canonical(spelling: object) -> str | None:
    """The unique id that a spelling means.

    Args:
        spelling: any of the spellings above, in either case.

    Returns:
        16 lower-case hex digits; None for anything else, and for all zeros and all ones, which the driver
        gives where it has no id or denies it.
    """
    if not isinstance(spelling, str):
        return None
    match = _HEX.fullmatch(text := spelling.strip().lower()) or _UUID.fullmatch(text)
    if match is None:
        return None
    unique_id = "".join(match.groups()).zfill(16)
    return None if unique_id in _NO_ID else unique_id
