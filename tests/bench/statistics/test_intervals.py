from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import intervals

pytestmark = pytest.mark.backend_free

times = st.floats(1e-3, 1e3)
samples = st.lists(times, min_size=1, max_size=12)
several = st.lists(times, min_size=2, max_size=12)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=12)


def holds(estimate: intervals.Estimate, truth: float) -> bool:
    assert estimate.ci95 is not None
    return estimate.ci95[0] <= truth <= estimate.ci95[1]


def close(left: intervals.Estimate, right: intervals.Estimate, *, factor: float = 1.0) -> bool:
    assert (left.ci95 is None) == (right.ci95 is None)
    lefts, rights = [left.value, *(left.ci95 or ())], [right.value, *(right.ci95 or ())]
    return all(math.isclose(x, factor * y, rel_tol=1e-6) for x, y in zip(lefts, rights, strict=True))


def test_t_interval_equals_the_textbook_one() -> None:
    from scipy import stats

    scores = [4.9, 5.1, 5.6]
    textbook = stats.ttest_1samp(scores, 0).confidence_interval()
    assert intervals.mean(scores).ci95 == pytest.approx((textbook.low, textbook.high))


def test_rounds_count_once_per_process_by_their_median() -> None:
    assert intervals.process_median([1.0, 9.0, 1.2]) == 1.2


@pytest.mark.parametrize("processes", [3, 5, 10])
@pytest.mark.parametrize(("process_sd", "round_sd"), [(0.03, 0.05), (0.15, 0.01)])
def test_95_percent_intervals_cover_hierarchical_data(processes: int, process_sd: float, round_sd: float) -> None:
    random = np.random.default_rng(20)
    cells = 1500
    logs = random.normal(0, process_sd, (cells, processes, 1)) + random.normal(0, round_sd, (cells, processes, 5))
    medians = np.median(3.0 * np.exp(logs), axis=-1)
    covered = np.mean([holds(intervals.typical(cell), 3.0) for cell in medians])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_95_percent_intervals_of_paired_ratios_cover_what_drifts(processes: int) -> None:
    random = np.random.default_rng(21)
    cells = 1500
    drift = random.normal(0, 0.3, (cells, processes))
    a = 6.0 * np.exp(drift + random.normal(0, 0.05, (cells, processes)))
    b = 2.0 * np.exp(drift + random.normal(0, 0.15, (cells, processes)))
    paired_covered = np.mean([holds(intervals.paired_ratio(*pair), 3.0) for pair in zip(a, b, strict=True)])
    assert 0.93 <= paired_covered <= 0.97


def test_what_hits_both_cells_alike_cancels_in_the_paired_ratio() -> None:
    base = [1.0, 2.0, 4.0]
    slower = [3.0 * value for value in base]
    assert intervals.paired_ratio(slower, base).ci95 == pytest.approx((3.0, 3.0))


@given(samples, st.floats(0.01, 100))
def test_a_change_of_unit_scales_estimate_and_interval(values: list[float], factor: float) -> None:
    scaled = [factor * value for value in values]
    assert close(intervals.typical(scaled), intervals.typical(values), factor=factor)
    assert close(intervals.paired_ratio(scaled, values), intervals.paired_ratio(values, values), factor=factor)


@given(several, st.randoms())
def test_the_order_of_processes_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert close(intervals.typical(shuffled), intervals.typical(values))
    assert intervals.mean(shuffled).value == pytest.approx(intervals.mean(values).value)


@given(pairs)
def test_the_ratio_the_other_way_round_is_the_inverse(values: list[tuple[float, float]]) -> None:
    a, b = zip(*values, strict=True)
    forth, back = intervals.paired_ratio(a, b), intervals.paired_ratio(b, a)
    assert forth.value * back.value == pytest.approx(1)
    assert (forth.ci95 is None) == (len(values) == 1)
    if forth.ci95 is not None and back.ci95 is not None:
        assert forth.ci95[0] * back.ci95[1] == pytest.approx(1)


@given(several)
def test_intervals_contain_their_estimate(a: list[float]) -> None:
    for estimate in (intervals.mean(a), intervals.typical(a)):
        assert holds(estimate, estimate.value)


@given(st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=4))
def test_absurd_times_still_give_finite_ends(values: list[float]) -> None:
    estimate = intervals.typical(values)
    assert estimate.ci95 is not None
    assert math.isfinite(estimate.ci95[1])


def test_one_process_gives_no_interval() -> None:
    assert intervals.typical([2.0]) == intervals.Estimate(pytest.approx(2.0), None)
    assert intervals.paired_ratio([2.0], [1.0]).ci95 is None
    assert intervals.mean([0.25]) == intervals.Estimate(0.25, None)


@pytest.mark.parametrize("bad", [[], [math.nan], [1.0, math.inf], [0.0], [1.0, -1.0]])
def test_times_must_be_there_finite_and_positive(bad: list[float]) -> None:
    good = [1.0] * len(bad)
    for call in (
        lambda: intervals.process_median(bad),
        lambda: intervals.typical(bad),
        lambda: intervals.paired_ratio(bad, good),
        lambda: intervals.paired_ratio(good, bad),
    ):
        with pytest.raises(ValueError, match="sample"):
            call()


@pytest.mark.parametrize("bad", [[], [math.nan], [1.0, -math.inf]])
def test_scores_must_be_there_and_finite(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="sample"):
        intervals.mean(bad)


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 3"):
        intervals.paired_ratio([1.0, 2.0], [1.0, 2.0, 3.0])


def test_reading_a_report_does_not_pay_for_plots_tables_or_frameworks() -> None:
    heavy = "{'altair', 'vl_convert', 'scipy.stats', 'scipy.special', 'rich', 'keras', 'jax', 'torch', 'tensorflow'}"
    reads = "bench.comparison.reports, bench.report.summary, bench.page"
    code = f"import {reads}, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
