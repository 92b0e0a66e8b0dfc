"""Where a GPU's readings come from, in the words that log, `check` and page share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.model import Gpu
from exporter.speech import N_

_WORDS = {
    "amdsmi": "amdsmi {version}",
    "sysfs": N_("the kernel's files"),
    "both": N_("amdsmi {version} and the kernel's files"),
    "simulated": N_("a simulation"),
}


def origin(gpu: Gpu, translated: Callable[[str], str] = str) -> str:
    """Returns what serves a GPU's readings: `amdsmi 27.1.0 and the kernel's files`."""
    if gpu.source not in _WORDS:
        return gpu.source
    words = translated(_WORDS[gpu.source]).format(version=gpu.library_version)
    return " ".join(words.split())  # not every library tells its version


def stand_ins(gpus: Iterable[Gpu]) -> list[tuple[str, list[int]]]:
    """Returns why the kernel's files stand in for amdsmi: each reason once, and the indices of its GPUs."""
    indices: dict[str, list[int]] = {}
    for gpu in gpus:
        if gpu.stand_in:
            indices.setdefault(gpu.stand_in, []).append(gpu.index)
    return list(indices.items())
