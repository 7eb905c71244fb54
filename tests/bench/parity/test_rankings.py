from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.parity.rankings import MOST_ITEMS, TOP, Index, Rankings, disagreement

pytestmark = pytest.mark.backend_free

Floats = npt.NDArray[np.floating[Any]]
Case = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]]


@st.composite
def two_trainings(draw: st.DrawFn) -> Case:
    """A few users in mixed order, and predictions of two trainings with ties of both."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    user_id = random.permutation(np.repeat(random.permutation(50)[: len(sizes)], sizes)).astype(np.int32)
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    one = random.integers(0, levels, user_id.size).astype(np.float32) / np.float32(levels)
    other = np.where(random.random(user_id.size) < draw(st.floats(0, 1)), one, random.permutation(one))
    return user_id, one, other.astype(np.float32)


def compared(user_id: npt.NDArray[np.int32], a: Floats, b: Floats) -> tuple[float | None, float | None]:
    index = Index.of(user_id)
    found = disagreement(Rankings.of(a, index), Rankings.of(b, index))
    return found.tau, found.top10


def naive_tau(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float(np.ptp(a) == np.ptp(b))
    with warnings.catch_warnings(action="ignore"):
        return float(stats.kendalltau(a, b).statistic)


def naive_top(values: Floats) -> set[int]:
    return set(sorted(range(values.size), key=lambda row: (-values[row], row))[:TOP])


@given(two_trainings())
def test_tau_is_scipys_averaged_over_users(case: Case) -> None:
    user_id, a, b = case
    groups = [user_id == user for user in np.unique(user_id) if (user_id == user).sum() > 1]
    index = Index.of(user_id)
    found = disagreement(Rankings.of(a, index), Rankings.of(b, index))
    assert found.tau_users == len(groups)
    if not groups:
        assert found.tau is None
    else:
        assert found.tau == pytest.approx(1 - np.mean([naive_tau(a[rows], b[rows]) for rows in groups]), abs=1e-12)


@given(two_trainings())
def test_the_overlap_of_the_ten_best_is_counted_user_by_user(case: Case) -> None:
    user_id, a, b = case
    groups = [user_id == user for user in np.unique(user_id) if (user_id == user).sum() > TOP]
    index = Index.of(user_id)
    found = disagreement(Rankings.of(a, index), Rankings.of(b, index))
    assert found.top10_users == len(groups)
    if not groups:
        assert found.top10 is None
    else:
        shared = [len(naive_top(a[rows]) & naive_top(b[rows])) / TOP for rows in groups]
        assert found.top10 == pytest.approx(1 - np.mean(shared), abs=1e-12)


@given(two_trainings())
def test_either_training_may_come_first(case: Case) -> None:
    user_id, a, b = case
    assert compared(user_id, a, b) == compared(user_id, b, a)


@given(two_trainings(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_test_part_does_not_matter(case: Case, seed: int) -> None:
    user_id, a, b = case
    rows = np.random.default_rng(seed).permutation(user_id.size)
    # Of items that tie, the earlier rows are among the ten best, so these must not tie.
    apart = [values + np.float32(1e-5) * np.arange(user_id.size, dtype=np.float32) for values in (a, b)]
    assert compared(user_id[rows], apart[0][rows], apart[1][rows]) == pytest.approx(compared(user_id, *apart))
    assert compared(user_id[rows], a[rows], b[rows])[0] == pytest.approx(compared(user_id, a, b)[0])


@given(two_trainings())
def test_equal_predictions_rank_alike_whatever_ties(case: Case) -> None:
    user_id, a, _ = case
    assert compared(user_id, a, a.copy()) in {(0.0, 0.0), (0.0, None), (None, None)}


def test_what_keeps_the_order_keeps_the_ranking_and_what_turns_it_round_gives_two() -> None:
    random = np.random.default_rng(3)
    user_id = np.repeat(np.arange(40), 25)
    a = random.normal(0.6, 0.2, user_id.size)
    assert compared(user_id, a, np.exp(3 * a)) == (0.0, 0.0)
    tau, top10 = compared(user_id, a, -a)
    assert (tau, top10) == (2.0, 1.0), "25 items have no item in both their first and their last ten"


def test_unrelated_rankings_disagree_by_about_one() -> None:
    random = np.random.default_rng(4)
    user_id = np.repeat(np.arange(900), 20)
    tau, top10 = compared(user_id, random.normal(size=user_id.size), random.normal(size=user_id.size))
    assert tau == pytest.approx(1, abs=0.03)
    assert top10 == pytest.approx(0.5, abs=0.03), "two draws of 10 among 20 share 5"


def test_a_single_swap_of_neighbours_is_seen() -> None:
    user_id = np.repeat([1, 2], 11)
    a = np.tile(np.arange(11.0), 2)
    b = a.copy()
    b[[0, 1]] = b[[1, 0]]  # The last two of user 1: one pair of 55, and one of the ten best.
    assert compared(user_id, a, b) == (pytest.approx(2 / 55 / 2), pytest.approx(1 / 10 / 2))


def test_a_training_that_predicts_the_same_for_all_items_ranks_nothing() -> None:
    user_id = np.repeat([1, 2], 12)
    ranked, constant = np.arange(24.0), np.full(24, 0.6)
    assert compared(user_id, ranked, constant)[0] == 1.0
    assert compared(user_id, constant, constant.copy())[0] == 0.0
    assert compared(user_id, np.where(user_id == 1, constant, ranked), ranked)[0] == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_that_are_not_finite_never_agree(bad: float) -> None:
    user_id = np.repeat([1, 2], 12)
    good = np.arange(24.0)
    broken = np.where(good == 5, bad, good)
    for pair in ((good, broken), (broken, good), (broken, broken)):
        assert all(value is not None and math.isnan(value) for value in compared(user_id, *pair))


def test_one_user_with_a_huge_number_of_items_is_looked_at_in_part() -> None:
    user_id = np.zeros(20_000, np.int32)
    a = np.random.default_rng(5).normal(size=user_id.size)
    late = a.copy()
    late[MOST_ITEMS:] = -late[MOST_ITEMS:]
    index = Index.of(user_id)
    assert index.first.size == MOST_ITEMS * (MOST_ITEMS - 1) // 2
    found = disagreement(Rankings.of(a, index), Rankings.of(late, index))
    assert found.tau == 0
    assert found.top10 is not None
    assert found.top10 > 0.5


def test_predictions_of_another_test_part_are_refused() -> None:
    index = Index.of(np.repeat([1, 2], 12))
    rankings = Rankings.of(np.arange(24.0), index)
    with pytest.raises(ValueError, match="24 predictions was given 23"):
        Rankings.of(np.arange(23.0), index)
    with pytest.raises(ValueError, match="share one Index"):
        disagreement(rankings, Rankings.of(np.arange(24.0), Index.of(np.repeat([1, 2], 12))))
