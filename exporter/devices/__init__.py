"""Where readings come from: AMD's bindings in a worker process, or simulated GPUs."""
