from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.change_points import levels

pytestmark = pytest.mark.backend_free

Reports = list[list[float]]
SERIES = st.lists(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=5), min_size=1, max_size=25)


def simulate(
    generator: np.random.Generator,
    reports: int,
    *,
    step: float = 0.0,
    at: int = 0,
    processes: int = 3,
    process_sd: float = 0.052,
    report_sd: float = 0.0,
) -> Reports:
    """A series whose reports scatter by 3 % around 1 ms, then around 1 + step."""
    level = np.where(np.arange(reports) < at, 0.0, math.log1p(step))
    level = level + generator.normal(0, report_sd, reports)
    return np.exp(level[:, None] + generator.normal(0, process_sd, (reports, processes))).tolist()


def changes(reports: Reports) -> list[int]:
    return [level.start for level in levels(reports)][1:]


@pytest.mark.parametrize("reports", [10, 50])
@pytest.mark.parametrize(("processes", "process_sd", "report_sd"), [(3, 0.052, 0.0), (3, 0.037, 0.021), (1, 0.0, 0.03)])
def test_a_steady_series_seldom_shows_a_change(
    reports: int, processes: int, process_sd: float, report_sd: float
) -> None:
    """Whether processes scatter, reports, or both."""
    generator = np.random.default_rng(reports)
    how = {"processes": processes, "process_sd": process_sd, "report_sd": report_sd}
    found = sum(bool(changes(simulate(generator, reports, **how))) for _ in range(300))
    assert found <= 15


@pytest.mark.parametrize(("reports", "at"), [(12, 6), (15, 7), (20, 10), (50, 25)])
def test_a_step_of_ten_percent_is_found_where_it_is(reports: int, at: int) -> None:
    generator = np.random.default_rng(at)
    found = [changes(simulate(generator, reports, step=0.1, at=at)) for _ in range(200)]
    assert sum(any(abs(place - at) <= 1 for place in places) for places in found) >= 180


def test_a_change_and_its_repair_are_both_found() -> None:
    series = [[1.0, 1.02, 0.98]] * 6 + [[1.2, 1.22, 1.18]] * 4 + [[1.0, 1.01, 0.99]] * 6
    found = levels(series)
    assert [level.start for level in found] == [0, 6, 10]
    assert [level.ms for level in found] == pytest.approx([1.0, 1.2, 1.0], rel=1e-3)


@pytest.mark.parametrize("place", [0, 7, 14])
def test_a_lone_report_is_seldom_taken_for_a_change(place: int) -> None:
    generator = np.random.default_rng(4)
    found = 0
    for _ in range(100):
        series = simulate(generator, 15)
        series[place] = [3.0, 3.1, 2.9]
        found += bool(changes(series))
    assert found <= 12


def test_a_report_of_many_processes_weighs_more() -> None:
    (found,) = levels([[0.8, 1.5]] * 3 + [[1.05] * 40] * 3)
    assert found.ms == pytest.approx(1.05, rel=0.01)


@pytest.mark.parametrize("reports", [1, 2, 3])
def test_too_short_a_series_has_one_level(reports: int) -> None:
    series = [[1.0, 1.0], [9.0, 9.0], [9.0, 9.0]][:reports]
    assert [(level.start, level.stop) for level in levels(series)] == [(0, reports)]


def test_values_without_scatter_change_where_they_do() -> None:
    assert changes([[1.0, 1.0]] * 6) == []
    assert changes([[1.0]] * 6 + [[2.0]] * 6) == [6]
    assert levels([]) == []


@given(SERIES)
def test_levels_cover_the_series_without_gap_or_overlap(series: Reports) -> None:
    found = levels(series)
    assert [place for level in found for place in range(level.start, level.stop)] == list(range(len(series)))
    assert all(level.stop - level.start >= 2 for level in found) or len(found) == 1
    low, high = min(map(min, series)), max(map(max, series))
    assert all(low * (1 - 1e-9) <= level.ms <= high * (1 + 1e-9) for level in found)


@given(SERIES, st.floats(0.01, 100.0))
def test_another_unit_changes_nothing_but_the_levels(series: Reports, factor: float) -> None:
    scaled = levels([[factor * value for value in report] for report in series])
    found = levels(series)
    assert [level.start for level in scaled] == [level.start for level in found]
    assert [level.ms for level in scaled] == pytest.approx([factor * level.ms for level in found])
