"""Asks Prometheus: what every GPU's counters stood at, and who they belonged to as its exporter saw it."""
