"""What the words of the report mean, for those who read it the first time."""

from __future__ import annotations

from typing import Final

from exporter.report.accounting.figures import FIGURES
from exporter.speech import N_

BUSY: Final = N_("Utilization summed over time: an hour at 50%, say, is half a GPU-hour.")
ACTIVE: Final = N_("Owned time that was not idle, however busy: an hour at 50%, say, is a whole GPU-hour.")

MEANINGS: Final = {
    FIGURES["owned_gpu_hours"].word: N_("GPU-time that a task holds, whether or not anything runs."),
    FIGURES["busy_gpu_hours"].word: BUSY,
    FIGURES["active_gpu_hours"].word: ACTIVE,
    FIGURES["idle_gpu_hours"].word: N_(
        "Owned time with utilization below the threshold; worse where VRAM is held, as nobody else can use the GPU."
    ),
    FIGURES["efficiency_ratio"].word: N_("Busy while owned, as a part of the owned time observed."),
    FIGURES["coverage_ratio"].word: N_(
        "How much of the time was observed. What was not is left out of means, and is never counted as idle."
    ),
    FIGURES["unknown_gpu_hours"].word: N_(
        "Time for which no source could say whose the GPU was: neither idle nor unallocated."
    ),
    N_("Units"): N_(
        "Amounts of time without a unit are GPU-hours; the longest idle stretch is in hours, energy in kWh."
    ),
}
"""By the word; neither is translated yet."""
