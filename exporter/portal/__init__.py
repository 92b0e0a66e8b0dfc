"""The cluster's pages, for people without Grafana and a terminal: `exporter portal`."""
