from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import contrast
from bench.statistics.contrast import MOST_PROCESSES
from bench.statistics.intervals import Interval

pytestmark = pytest.mark.backend_free

SAMPLES = st.lists(st.floats(0.1, 10.0), min_size=2, max_size=8)


@given(SAMPLES, SAMPLES)
def test_one_unpaired_comparison_has_the_textbook_interval(a: list[float], b: list[float]) -> None:
    assume(min(np.std(a), np.std(b)) > 1e-3)
    textbook = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert contrast.unpaired(a, b).interval(contrast.each_of(1)) == pytest.approx(
        (textbook.low, textbook.high), rel=1e-6, abs=1e-9
    )


@given(st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)), min_size=2, max_size=8))
def test_one_paired_comparison_has_the_textbook_interval(pairs: list[tuple[float, float]]) -> None:
    a, b = zip(*pairs, strict=True)
    assume(np.std(np.subtract(a, b)) > 1e-3)
    textbook = stats.ttest_rel(a, b).confidence_interval()
    assert contrast.paired(a, b).interval(contrast.each_of(1)) == pytest.approx(
        (textbook.low, textbook.high), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_intervals_of_ratios_of_cells_measured_apart_cover(processes: int) -> None:
    random = np.random.default_rng(21)
    held = 0
    for _ in range(1500):
        a = np.log(6.0) + random.normal(0, 0.05, processes)
        b = np.log(2.0) + random.normal(0, 0.15, processes + 1)
        low, high = contrast.unpaired(a, b).interval(0.95) or (math.nan, math.nan)
        held += low <= math.log(3.0) <= high
    assert 0.93 <= held / 1500 <= 0.97


@given(SAMPLES, SAMPLES, st.integers(1, 20))
def test_more_comparisons_widen_every_interval(a: list[float], b: list[float], comparisons: int) -> None:
    found = contrast.unpaired(a, b)
    narrow, wide = (found.interval(contrast.each_of(number)) for number in (comparisons, comparisons + 1))
    assert narrow is not None
    assert wide is not None
    assert wide[0] <= narrow[0] <= found.value <= narrow[1] <= wide[1]


def test_equal_samples_have_an_interval_of_no_width() -> None:
    assert contrast.unpaired([2.0, 2.0], [1.0, 1.0]).interval(0.95) == (1.0, 1.0)
    assert contrast.paired([2.0, 3.0], [1.0, 2.0]).interval(0.95) == (1.0, 1.0)


def test_one_sample_on_a_side_gives_neither_interval_nor_number() -> None:
    for lone in (contrast.unpaired([1.0], [1.0, 2.0]), contrast.unpaired([1.0, 2.0], [1.0]), contrast.paired([1], [2])):
        assert lone.interval(0.95) is None
        assert lone.samples_needed(lambda ends: True, 0.95) is None


def off_zero(ends: Interval) -> bool:
    return ends[0] > 0 or ends[1] < 0


@given(SAMPLES, SAMPLES)
def test_the_number_needed_is_the_smallest_whose_interval_decides(a: list[float], b: list[float]) -> None:
    found = contrast.unpaired(a, b)
    number = found.samples_needed(off_zero, 0.95)
    assert number is not None
    assert min(found.samples) < number <= MOST_PROCESSES + 1

    def ends(n: int) -> Interval:
        sides = tuple(max(n, have) for have in found.samples)
        interval = contrast.Contrast(found.value, found.variances, sides).interval(0.95)
        assert interval is not None
        return interval

    if number <= MOST_PROCESSES:
        assert off_zero(ends(number))
    assert not any(off_zero(ends(n)) for n in range(min(found.samples) + 1, number))


def test_the_number_needed_decides_about_every_other_time() -> None:
    """This holds where the scatter and the difference are as estimated."""
    generator = np.random.default_rng(5)
    true = contrast.Contrast(0.05, np.array([0.05**2, 0.05**2]), (3, 3))
    number = true.samples_needed(off_zero, 0.95)
    assert number is not None
    decided = 0
    for _ in range(1000):
        new, base = generator.normal(0.05, 0.05, number), generator.normal(0, 0.05, number)
        ends = contrast.unpaired(new, base).interval(0.95)
        assert ends is not None
        decided += off_zero(ends)
    assert 450 < decided < 650


@pytest.mark.parametrize("cells", [3, 12])
def test_all_intervals_hold_at_once_in_95_of_100_comparisons(cells: int) -> None:
    """This also holds where cells depend on one another, as they do when interleaved on one machine."""
    generator = np.random.default_rng(11)
    trials, processes, missed = 1500, 5, 0
    confidence = contrast.each_of(cells)
    for _ in range(trials):
        shared = generator.normal(0, 0.03, (2, 1, processes))
        new, base = shared + generator.normal(0, 0.03, (2, cells, processes))
        intervals = [contrast.unpaired(new[cell], base[cell]).interval(confidence) for cell in range(cells)]
        missed += any(off_zero(ends) for ends in intervals if ends is not None)
    assert missed / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
