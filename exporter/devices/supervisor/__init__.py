"""The service's side of the workers: starts them, replaces them, and tells the sink what they read.

`supervision` decides, `process` is a worker seen from outside, `member` what was heard of one, `quarantine` keeps what
the library is not to be asked for now, `roster` knows the GPUs and `faults` what is wrong with them.
"""

from exporter.devices.supervisor.source import HardwareSource

__all__ = ["HardwareSource"]
