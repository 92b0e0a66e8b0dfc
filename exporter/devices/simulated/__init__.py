"""Simulated MI300X GPUs: what they run, what they read, and exactly what that adds up to.

`workload` says what runs when, `shapes` how such a load moves, `curve` integrates it in closed form, `gpus` makes
readings of it, and `source` delivers them as a driver would.
"""

from __future__ import annotations

from exporter.devices.simulated.gpus import SimulatedGpus
from exporter.devices.simulated.shapes import Kind
from exporter.devices.simulated.source import SimulatedSource
from exporter.devices.simulated.workload import Phase, Workload

__all__ = ["Kind", "Phase", "SimulatedGpus", "SimulatedSource", "Workload"]
