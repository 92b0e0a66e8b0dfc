"""A simulated cluster, for the demo, the tests and the benchmarks."""
