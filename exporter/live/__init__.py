"""The cluster as it is now, from Prometheus alone: for `exporter status`."""
