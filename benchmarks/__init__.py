"""What it costs: figures for the README, measured."""
