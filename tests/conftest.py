from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow machine is no failure: speed is the benchmarks' business.
settings.register_profile("suite", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
