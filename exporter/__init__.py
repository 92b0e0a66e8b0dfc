"""Accounts every GPU-second of a cluster of AMD Instinct MI300X nodes to a user and a task."""

__version__ = "0.1.0"
