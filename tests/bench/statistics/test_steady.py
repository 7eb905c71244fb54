from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.steady import MOST_ROUNDS, PATIENCE, is_steady

pytestmark = pytest.mark.backend_free

TIMES = st.floats(0.01, 1e4)


@pytest.mark.parametrize(
    ("step_times", "steady"),
    [
        ([], False),
        ([5.0], False),
        ([5.0, 5.0], False),
        ([5.0, 5.0, 5.0], True),
        ([9.0, 5.0, 3.0], False),
        ([9.0, 5.0, 5.0], False),  # the first round was compilation: 5.0 is still an improvement on it
        ([9.0, 5.0, 5.0, 5.0], True),
        ([5.0, 4.95, 4.91], True),  # within 2 %
        ([5.0, 5.0, 4.8], False),
        ([5.0, 20.0, 30.0], True),  # a busy neighbour is noise, not warming up
        ([5.0, 20.0, 4.0], False),
    ],
)
def test_a_series_has_settled_once_two_rounds_in_a_row_are_no_faster(step_times: list[float], steady: bool) -> None:
    assert is_steady(step_times) is steady


@given(times=st.lists(TIMES, max_size=8), scale=st.floats(0.1, 10))
def test_the_unit_does_not_matter(times: list[float], scale: float) -> None:
    # An improvement of exactly 2 % may fall on either side of the limit by rounding.
    if is_steady(times, improvement=0.0199) == is_steady(times, improvement=0.0201):
        assert is_steady([scale * time for time in times]) == is_steady(times)


@given(times=st.lists(TIMES, min_size=1, max_size=8), slower=st.lists(st.floats(1, 100), min_size=2, max_size=2))
def test_rounds_that_only_get_slower_always_settle(times: list[float], slower: list[float]) -> None:
    assert is_steady([*times, *(min(times) * factor for factor in slower)])


@given(first=TIMES, drops=st.lists(st.floats(0.5, 0.97), min_size=PATIENCE, max_size=MOST_ROUNDS))
def test_a_series_that_keeps_falling_never_settles(first: float, drops: list[float]) -> None:
    times = [first]
    for drop in drops:
        times.append(times[-1] * drop)
    assert not is_steady(times)
