from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.envelope import Reference, measure
from bench.errors import BenchError
from bench.parity import Trajectory, judge
from bench.parity_records import ParityResult
from bench.report import Cell
from bench.rounding import permute_in_batches, permute_units
from movierank.oracle import Oracle, train
from movierank.ratings import Ratings
from movierank.weights import initial_weights

USERS, MOVIES, BATCH, EPOCHS = 60, 90, 250, 2
STAGES = ("forward", "epoch 1", "epoch 2")
JAX, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "torch"))


@cache
def ratings(seed: int, count: int) -> Ratings:
    """Ratings that can be learned: a user's and a movie's taste plus noise, in whole stars."""
    taste = np.random.default_rng(0)
    user_taste, movie_taste = taste.normal(0, 0.7, USERS + 1), taste.normal(0, 0.7, MOVIES + 1)
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(1, USERS + 1, count), rng.integers(1, MOVIES + 1, count)
    stars = np.clip(np.rint(3.5 + user_taste[user] + movie_taste[movie] + rng.normal(0, 0.7, count)), 1, 5)
    return Ratings(user.astype(np.int32), movie.astype(np.int32), ((stars - 1) / 4).astype(np.float32))


TRAIN, TEST = ratings(1, 4100), ratings(2, 1000)


@cache
def reference(seed: int = 0) -> Reference:
    weights = initial_weights(USERS, MOVIES, seed=seed)
    return measure(weights, TRAIN, TEST, batch_size=BATCH, epochs=EPOCHS, learning_rate=0.1, seed=seed, threads=1)


def trained(cell: Cell = JAX, *, data: Ratings = TRAIN, permutation: int | None = 0, **oracle: Any) -> Trajectory:
    """A float32 training; a `permutation` gives it a rounding of its own."""
    weights, seed = initial_weights(USERS, MOVIES, seed=0), 0
    if permutation is not None:
        rng = np.random.default_rng([99, permutation])
        weights, _ = permute_units(weights, rng)
        data = permute_in_batches(data, BATCH, rng)
    model = Oracle(weights, dtype=np.float32, **oracle)
    stages = {"forward": model.predict(TEST.user_id, TEST.movie_id)}
    train(
        model,
        data,
        BATCH,
        EPOCHS,
        lambda epoch: stages.__setitem__(f"epoch {epoch}", model.predict(TEST.user_id, TEST.movie_id)),
    )
    return Trajectory(cell, seed, 0, stages)


@cache
def clean_training() -> Trajectory:
    return trained()


def verdicts(results: list[ParityResult], b: str = "oracle") -> dict[str, str]:
    return {result.stage: result.verdict for result in results if result.b == b}


def other_batch_order(data: Ratings) -> Ratings:
    order = np.arange(len(data))
    order[: 2 * BATCH] = np.roll(order[: 2 * BATCH], BATCH)
    return data.take(order)


@pytest.mark.parametrize("permutation", range(6))
def test_a_clean_training_with_another_rounding_is_within_at_every_stage(permutation: int) -> None:
    results = judge([trained(permutation=permutation)], {0: reference()})
    assert verdicts(results) == dict.fromkeys((*STAGES, "rmse"), "within")


@pytest.mark.parametrize(
    "mutant",
    [
        lambda: trained(learning_rate=0.11),
        lambda: trained(epsilon=1e-2),
        lambda: trained(data=other_batch_order(TRAIN)),
        lambda: trained(data=TRAIN.take(slice(BATCH, None))),
        lambda: trained(data=TRAIN.take(slice(len(TRAIN) // BATCH * BATCH))),
    ],
    ids=["learning rate 0.11", "epsilon 1e-2", "two batches swapped", "first batch skipped", "partial batch dropped"],
)
def test_a_training_that_does_something_else_is_outside_from_the_first_epoch(mutant: Callable[[], Trajectory]) -> None:
    found = verdicts(judge([mutant()], {0: reference()}))
    assert found["forward"] == "within"
    assert found["epoch 1"] == "outside"


def test_identical_trainings_are_within_at_distance_zero() -> None:
    run = clean_training()
    pair = [r for r in judge([run, replace(run, cell=TORCH)], {0: reference()}) if r.b != "oracle"]
    assert [(r.a, r.b, r.stage) for r in pair] == [("jax/cpu/fit", "torch/cpu/fit", s) for s in (*STAGES, "rmse")]
    assert all(r.rms == r.max_abs == 0 and r.verdict == "within" and r.known is None for r in pair)


@given(stage=st.sampled_from(STAGES), factor=st.floats(3, 1e6), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_planted_difference_is_outside_first_where_it_was_planted(stage: str, factor: float, seed: int) -> None:
    clean = clean_training()
    limits = {r.stage: r.envelope for r in judge([clean], {0: reference()})}
    direction = np.random.default_rng(seed).choice([-1.0, 1.0], len(TEST))
    planted = STAGES.index(stage)
    stages = {
        s: (v + factor * limits[s] * direction).astype(np.float64) if STAGES.index(s) >= planted else v
        for s, v in clean.stages.items()
    }
    found = verdicts(judge([replace(clean, stages=stages)], {0: reference()}))
    assert [s for s in STAGES if found[s] == "outside"] == list(STAGES[planted:])


def test_the_order_in_which_trainings_arrive_changes_nothing() -> None:
    a, b = trained(JAX, permutation=1), trained(TORCH, permutation=2, learning_rate=0.11)
    assert judge([a, b], {0: reference()}) == judge([b, a], {0: reference()})


def test_the_distance_of_a_pair_does_not_depend_on_which_cell_is_named_first() -> None:
    a, b = trained(permutation=1), trained(permutation=2, learning_rate=0.11)
    here, there = (
        [(r.stage, r.rms, r.max_abs, r.verdict) for r in judge(runs, {0: reference()}) if r.b != "oracle"]
        for runs in ([replace(a, cell=JAX), replace(b, cell=TORCH)], [replace(a, cell=TORCH), replace(b, cell=JAX)])
    )
    assert here == there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_prediction_that_is_not_finite_is_outside_and_has_no_distance(value: float) -> None:
    run = clean_training()
    last = run.stages["epoch 2"].copy()
    last[7] = value
    results = judge([replace(run, stages={**run.stages, "epoch 2": last})], {0: reference()})
    broken = [r for r in results if r.verdict == "outside"]
    assert [r.stage for r in broken] == ["epoch 2", "rmse"]
    assert all(r.rms is None and r.max_abs is None for r in broken)


@pytest.mark.parametrize("worst", [0, 1])
def test_of_several_processes_the_worst_is_told(worst: int) -> None:
    runs = [trained(permutation=1), trained(permutation=2)]
    runs[worst] = trained(permutation=worst, learning_rate=0.11)
    both = judge([replace(run, process=p) for p, run in enumerate(runs)], {0: reference()})
    alone = judge([runs[worst]], {0: reference()})
    assert [r.rms for r in both[1:]] == [r.rms for r in alone[1:]]
    assert verdicts(both) == verdicts(alone)


def test_a_process_with_nan_is_worse_than_one_far_outside() -> None:
    far = trained(learning_rate=0.2)
    nan = replace(far, process=1, stages={s: np.full_like(v, np.nan) for s, v in far.stages.items()})
    for runs in ([far, nan], [nan, far]):
        assert all(r.rms is None for r in judge(runs, {0: reference()}))


def test_each_seed_is_judged_by_its_own_oracle_and_never_against_another_seed() -> None:
    first, other = trained(JAX), replace(trained(TORCH, learning_rate=0.11), seed=1)
    assert all(r.b == "oracle" for r in judge([first, other], {0: reference(0), 1: reference(1)}))
    mislabelled = verdicts(judge([replace(first, seed=1)], {1: reference(1)}))
    assert mislabelled["forward"] == "outside"


def test_a_training_that_ended_early_is_judged_as_far_as_it_came() -> None:
    run = clean_training()
    short = replace(run, cell=TORCH, stages={s: run.stages[s] for s in STAGES[:2]})
    results = judge([run, short], {0: reference()})
    assert [r.stage for r in results if r.a == "torch/cpu/fit" or r.b == "torch/cpu/fit"] == [*STAGES[:2], *STAGES[:2]]


def test_without_references_there_is_nothing_to_judge() -> None:
    assert judge([clean_training()], {}) == []
    assert judge([], {0: reference()}) == []


def test_predictions_of_another_test_part_are_refused() -> None:
    run = clean_training()
    short = replace(run, stages={s: v[:-1] for s, v in run.stages.items()})
    with pytest.raises(BenchError, match="jax/cpu/fit has 999 predictions at forward, the oracle 1000"):
        judge([short], {0: reference()})


def test_judging_needs_no_framework() -> None:
    code = "import sys, bench.parity; print({'keras', 'jax', 'torch', 'tensorflow', 'scipy.stats'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
