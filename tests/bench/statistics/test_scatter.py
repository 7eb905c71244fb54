from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.scatter import CAUTION, FEWEST_ROUNDS, MOST_ROUNDS, Components, best_rounds, components, two_modes

pytestmark = pytest.mark.backend_free

STEP_TIMES = st.floats(0.01, 1000)


def simulate(rng: np.random.Generator, processes: int, rounds: int, process_sd: float, round_sd: float) -> np.ndarray:
    between = process_sd * rng.standard_normal((processes, 1))
    return 2.0 * np.exp(between + round_sd * rng.standard_normal((processes, rounds)))


@pytest.mark.parametrize(("process_sd", "round_sd"), [(0.1, 0.02), (0.02, 0.1), (0.05, 0.05)])
def test_components_are_told_apart(process_sd, round_sd):
    found = components(list(simulate(np.random.default_rng(1), 400, 8, process_sd, round_sd)))
    assert found.process_sd == pytest.approx(process_sd, rel=0.15)
    assert found.round_sd == pytest.approx(round_sd, rel=0.05)


def test_processes_that_differ_by_their_rounds_alone_have_no_component_of_their_own():
    found = [components(list(simulate(np.random.default_rng(seed), 6, 8, 0.0, 0.05))).process_sd for seed in range(200)]
    assert np.median(found) < 0.01


@given(st.lists(st.lists(STEP_TIMES, min_size=2, max_size=5), min_size=2, max_size=5), st.floats(0.1, 10))
def test_components_do_not_depend_on_the_unit(rounds, factor):
    found = components(rounds)
    scaled = components([[factor * value for value in process] for process in rounds])
    assert scaled.process_sd == pytest.approx(found.process_sd, abs=1e-6)
    assert scaled.round_sd == pytest.approx(found.round_sd, abs=1e-6)


@pytest.mark.parametrize("rounds", [[], [[1.0, 2.0]], [[1.0], [2.0]]])
def test_components_need_two_processes_and_a_process_with_two_rounds(rounds):
    assert components(rounds) is None


@pytest.mark.parametrize(
    ("process_sd", "round_sd", "process_cost", "round_cost"), [(0.05, 0.10, 6, 0.4), (0.02, 0.05, 8, 0.5)]
)
def test_the_best_number_of_rounds_gives_the_smallest_variance_for_the_time(
    process_sd, round_sd, process_cost, round_cost
):
    def variance_for_the_time(rounds: int) -> float:
        of_a_process = process_sd**2 + math.pi / 2 * round_sd**2 / rounds
        return of_a_process * (process_cost + rounds * round_cost)

    found = best_rounds(Components(process_sd, round_sd, process_sd), process_cost, round_cost)
    best = min(range(FEWEST_ROUNDS, MOST_ROUNDS + 1), key=variance_for_the_time)
    assert abs(found - best) <= 1


def test_processes_that_all_agree_ask_for_many_rounds_and_scattered_ones_for_few():
    assert best_rounds(Components(0.0, 0.1, 0.0), 5, 0.4) == MOST_ROUNDS
    assert best_rounds(Components(0.2, 0.01, 0.3), 5, 0.4) == FEWEST_ROUNDS


@pytest.mark.parametrize("processes", [3, 5, 12])
def test_processes_seldom_scatter_more_than_the_limit_that_is_told(processes):
    rng = np.random.default_rng(processes)
    found = [components(list(simulate(rng, processes, 5, 0.03, 0.02))) for _ in range(600)]
    held = np.mean([one.process_sd_limit >= 0.03 for one in found])
    # four standard errors of a share of 600 about the stated confidence
    assert abs(held - CAUTION) < 4 * math.sqrt(CAUTION * (1 - CAUTION) / 600)


@given(st.lists(st.lists(STEP_TIMES, min_size=2, max_size=5), min_size=2, max_size=8))
def test_the_limit_is_never_below_the_estimate(rounds):
    found = components(rounds)
    assert found.process_sd_limit >= found.process_sd


def test_few_processes_that_agree_by_chance_do_not_ask_for_the_most_rounds():
    rng = np.random.default_rng(7)
    agreeing = [one for _ in range(300) if (one := components(list(simulate(rng, 4, 5, 0.02, 0.03)))).process_sd == 0]
    assert len(agreeing) > 20
    asked = [best_rounds(one, 7.0, 0.5) for one in agreeing]
    assert np.median(asked) < MOST_ROUNDS / 2


def test_two_modes_are_found_and_told():
    fast, slow = two_modes([0.85, 0.86, 1.25, 0.84, 1.27, 1.24, 0.85])
    assert fast == pytest.approx(0.85, rel=0.01)
    assert slow == pytest.approx(1.25, rel=0.01)


def test_two_modes_nearer_than_anyone_cares_are_one():
    assert two_modes([1.0, 1.0001, 1.0, 1.02, 1.0201, 1.02, 1.0]) is None


@pytest.mark.parametrize("processes", [5, 6, 8, 9, 11, 20, 40])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_one_group_is_rarely_called_two(processes, tails):
    rng = np.random.default_rng(processes)
    draws = rng.standard_normal((600, processes)) if tails == "normal" else rng.standard_t(4, (600, processes))
    alarms = sum(two_modes(np.exp(0.1 * row)) is not None for row in draws)
    # 1 % of 600 is 6; 15 or more would be a chance of one in a thousand.
    assert alarms < 15


@pytest.mark.parametrize(("processes", "least"), [(7, 0.75), (10, 0.9)])
def test_two_groups_are_mostly_found(processes, least):
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        typical = np.where(rng.random(processes) < 0.5, 0.85, 1.25)
        found += two_modes(typical * np.exp(0.03 * rng.standard_normal(processes))) is not None
    assert found / 300 > least


@pytest.mark.parametrize("medians", [[], [1.0], [1.0, 1.0, 2.0, 2.0], [1.0] * 6])
def test_too_few_or_equal_processes_show_no_modes(medians):
    assert two_modes(medians) is None
