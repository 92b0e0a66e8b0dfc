"""Slurm as a source of owners: a node asks its own controller which jobs hold its GPUs."""
