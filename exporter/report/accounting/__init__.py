"""From intervals and counters to the rows of the report. Pure."""
