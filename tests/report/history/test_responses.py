from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.history.responses import all_series, parsed

TIMES = st.integers(0, 2**41).map(lambda milliseconds: milliseconds / 1000)
VALUES = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
SAMPLES = st.lists(st.tuples(TIMES, st.one_of(VALUES, st.sampled_from(["+Inf", "-Inf", "NaN"]))), min_size=1)


@given(SAMPLES)
def test_a_sample_is_the_very_number_that_the_server_wrote(samples: list[tuple[float, float | str]]) -> None:
    result = [{"metric": {"a": '"values":[['}, "values": [[time, str(value)] for time, value in samples]}]
    data = {"resultType": "matrix", "result": result}
    document = parsed(json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode())
    assert document is not None
    (series,) = all_series(document["data"])
    assert series.labels == {"a": '"values":[['}
    expected = np.array([(time, float(value)) for time, value in samples])
    expected = expected[~np.isnan(expected[:, 1])]
    assert series.times.tolist() == expected[:, 0].tolist()
    assert series.values.tolist() == expected[:, 1].tolist()
