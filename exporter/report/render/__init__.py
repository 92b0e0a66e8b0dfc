"""What a report looks like: each renderer formats the same rows, and computes none."""
