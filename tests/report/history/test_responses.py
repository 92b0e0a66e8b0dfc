from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.history.responses import all_series, parsed

TIMES = st.integers(0, 2**41).map(lambda milliseconds: milliseconds / 1000)
VALUES = st.one_of(st.floats(0, 1e23), st.integers(0, 2**70))
SAMPLES = st.lists(st.tuples(TIMES, st.one_of(VALUES, st.just("NaN"))), min_size=1, unique_by=lambda sample: sample[0])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("1.5")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["metric", "value", "values", "resultType", "result", "a"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(SAMPLES)
def test_a_sample_is_the_very_number_that_the_server_wrote(samples: list[tuple[float, float | str]]) -> None:
    samples = sorted(samples, key=lambda sample: sample[0])
    result = [{"metric": {"a": '"values":[['}, "values": [[time, str(value)] for time, value in samples]}]
    data = {"resultType": "matrix", "result": result}
    document = parsed(json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode())
    assert document is not None
    found, unsound = all_series(document["data"])
    expected = np.array([(time, float(value)) for time, value in samples])
    expected = expected[~np.isnan(expected[:, 1])]
    assert not unsound
    assert [series.labels for series in found] == [{"a": '"values":[['}] * bool(len(expected))
    for series in found:
        assert series.times.tolist() == expected[:, 0].tolist()
        assert series.values.tolist() == expected[:, 1].tolist()


@given(st.lists(st.fixed_dictionaries({"metric": st.just({"a": "b"}), "values": JSON}), max_size=3) | JSON)
def test_whatever_else_a_server_answers_is_refused_or_gives_sound_series(result: object) -> None:
    try:
        found, _ = all_series({"resultType": "matrix", "result": result})
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        return
    for series in found:
        assert len(series.times) == len(series.values) > 0
        assert np.isfinite(series.times).all()
        assert np.isfinite(series.values).all()
        assert (np.diff(series.times) > 0).all()
