"""Whole trainings judged by their predictions, against the oracle and in pairs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.parity.trainings import Trajectory
from bench.schema.cell import Cell
from bench.schema.parity import ParityResult
from movierank.data.ratings import Ratings

pytestmark = pytest.mark.backend_free

STAGES = ("forward", "epoch 1", "epoch 2")
JAX, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "torch"))


def verdicts(results: list[ParityResult], b: str = "oracle") -> dict[str, str]:
    return {result.stage: result.verdict for result in results if result.b == b}


def in_other_batch_order(data: Ratings, batch: int) -> Ratings:
    order = np.arange(len(data))
    order[: 2 * batch] = np.roll(order[: 2 * batch], batch)
    return data.take(order)


@pytest.mark.parametrize("permutation", range(6))
def test_a_clean_training_with_another_rounding_is_within_at_every_stage(small: Any, permutation: int) -> None:
    results = small.judge([small.trained(permutation=permutation)])
    assert verdicts(results) == dict.fromkeys((*STAGES, *small.derived), "within")


@pytest.mark.parametrize(
    "mutant",
    [
        lambda small: small.trained(learning_rate=0.11),
        lambda small: small.trained(epsilon=1e-2),
        lambda small: small.trained(data=in_other_batch_order(small.train, small.batch)),
        lambda small: small.trained(data=small.train.take(slice(small.batch, None))),
        lambda small: small.trained(data=small.train.take(slice(len(small.train) // small.batch * small.batch))),
    ],
    ids=["learning rate 0.11", "epsilon 1e-2", "two batches swapped", "first batch skipped", "partial batch dropped"],
)
def test_a_training_that_does_something_else_is_outside_from_the_first_epoch(
    small: Any, mutant: Callable[[Any], Trajectory]
) -> None:
    found = verdicts(small.judge([mutant(small)]))
    assert found["forward"] == "within"
    assert found["epoch 1"] == "outside"


def test_identical_trainings_are_within_at_distance_zero(small: Any) -> None:
    run = small.clean()
    pair = [r for r in small.judge([run, replace(run, cell=TORCH)]) if r.b != "oracle"]
    assert [(r.a, r.b, r.stage) for r in pair] == [
        ("jax/cpu/fit", "torch/cpu/fit", s) for s in (*STAGES, *small.derived)
    ]
    assert all(r.rms == r.max_abs == 0 and r.verdict == "within" and r.known is None for r in pair)


@given(stage=st.sampled_from(STAGES), factor=st.floats(3, 1e6), seed=st.integers(0, 99))
def test_a_planted_difference_is_outside_first_where_it_was_planted(
    small: Any, stage: str, factor: float, seed: int
) -> None:
    clean = small.clean()
    limits = {r.stage: r.envelope for r in small.judge([clean])}
    direction = np.random.default_rng(seed).choice([-1.0, 1.0], len(small.test))
    planted = STAGES.index(stage)
    stages = {
        s: (v + factor * limits[s] * direction).astype(np.float64) if STAGES.index(s) >= planted else v
        for s, v in clean.values.items()
    }
    found = verdicts(small.judge([replace(clean, values=stages)]))
    assert [s for s in STAGES if found[s] == "outside"] == list(STAGES[planted:])


def test_the_order_in_which_trainings_arrive_changes_nothing(small: Any) -> None:
    a, b = small.trained(JAX, permutation=1), small.trained(TORCH, permutation=2, learning_rate=0.11)
    assert small.judge([a, b]) == small.judge([b, a])


def test_the_distance_of_a_pair_does_not_depend_on_which_cell_is_named_first(small: Any) -> None:
    a, b = small.trained(permutation=1), small.trained(permutation=2, learning_rate=0.11)
    here, there = (
        [(r.stage, r.rms, r.max_abs, r.verdict) for r in small.judge(runs) if r.b != "oracle"]
        for runs in ([replace(a, cell=JAX), replace(b, cell=TORCH)], [replace(a, cell=TORCH), replace(b, cell=JAX)])
    )
    assert here == there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_prediction_that_is_not_finite_is_outside_and_has_no_distance(small: Any, value: float) -> None:
    run = small.clean()
    last = run.values["epoch 2"].copy()
    last[7] = value
    results = small.judge([replace(run, values={**run.values, "epoch 2": last})])
    broken = [r for r in results if r.verdict == "outside"]
    assert [r.stage for r in broken] == ["epoch 2", *small.derived]
    assert all(r.rms is None and r.max_abs is None for r in broken)


@pytest.mark.parametrize("worst", [0, 1])
def test_of_several_processes_the_worst_is_told(small: Any, worst: int) -> None:
    runs = [small.trained(permutation=1), small.trained(permutation=2)]
    runs[worst] = small.trained(permutation=worst, learning_rate=0.11)
    both = small.judge([replace(run, process=p) for p, run in enumerate(runs)])
    alone = small.judge([runs[worst]])
    assert [r.rms for r in both[1:]] == [r.rms for r in alone[1:]]
    assert verdicts(both) == verdicts(alone)


def test_a_process_with_nan_is_worse_than_one_far_outside(small: Any) -> None:
    far = small.trained(learning_rate=0.2)
    nan = replace(far, process=1, values={s: np.full_like(v, np.nan) for s, v in far.values.items()})
    for runs in ([far, nan], [nan, far]):
        assert all(r.rms is None for r in small.judge(runs))


def test_each_seed_is_judged_by_its_own_oracle_and_never_against_another_seed(small: Any) -> None:
    first, other = small.trained(JAX), replace(small.trained(TORCH, learning_rate=0.11), seed=1)
    assert all(r.b == "oracle" for r in small.judge([first, other], {0: small.reference(0), 1: small.reference(1)}))
    mislabelled = verdicts(small.judge([replace(first, seed=1)], {1: small.reference(1)}))
    assert mislabelled["forward"] == "outside"


def test_a_training_that_ended_early_is_judged_as_far_as_it_came(small: Any) -> None:
    run = small.clean()
    short = replace(run, cell=TORCH, values={s: run.values[s] for s in STAGES[:2]})
    results = small.judge([run, short])
    assert [r.stage for r in results if r.a == "torch/cpu/fit" or r.b == "torch/cpu/fit"] == [*STAGES[:2], *STAGES[:2]]


def test_without_references_there_is_nothing_to_judge(small: Any) -> None:
    assert small.judge([small.clean()], {}) == []
    assert small.judge([], {0: small.reference()}) == []


def test_predictions_of_another_test_part_are_refused(small: Any) -> None:
    run = small.clean()
    short = replace(run, values={s: v[:-1] for s, v in run.values.items()})
    with pytest.raises(BenchError, match="jax/cpu/fit has 999 values at forward, the oracle 1000"):
        small.judge([short])


def test_judging_needs_no_framework() -> None:
    heavy = {"keras", "jax", "torch", "tensorflow", "scipy.stats"}
    code = f"import sys, bench.parity.judge; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_cell_of_reduced_precision_meets_its_own_float32_cell_alone_and_widens_no_limit(small: Any) -> None:
    run = small.clean()
    reduced = replace(run, cell=Cell(backend="jax", device="cpu", loop="fit:bfloat16"))
    full = [run, replace(run, cell=TORCH)]
    alone, beside = small.judge(full), small.judge([*full, reduced])
    pairs = {(r.a, r.b) for r in beside if "bfloat16" in r.a + r.b}
    assert pairs == {("jax/cpu/fit:bfloat16", "oracle"), ("jax/cpu/fit", "jax/cpu/fit:bfloat16")}
    assert [r for r in beside if (r.a, r.b) not in pairs] == alone
