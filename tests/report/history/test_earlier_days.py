from __future__ import annotations

import numpy as np

from exporter.report.history.earlier_days import gains
from exporter.report.history.responses import Series

UUID = "52f67b3700dcc6f3"


def test_a_counter_that_fell_was_reset_to_zero() -> None:
    looks = [100.0, 160.0, 30.0, 90.0]
    series = Series({"__name__": "busy", "gpu_uuid": UUID}, np.arange(4.0), np.array(looks))

    assert list(gains([series], {UUID})) == [("busy", 60 + 30 + 60)]
    assert list(gains([series], {"another"})) == []
