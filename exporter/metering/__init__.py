"""Readings become counters, and counters are booked to owners. Pure: no I/O, no clock of its own."""
