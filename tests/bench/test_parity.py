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

from bench import parity
from bench.distances import TestPart
from bench.divergence import divergences
from bench.errors import BenchError
from bench.parity import Trajectory
from bench.parity_records import ParityResult
from bench.reference import Reference, Task, measure, trained_copy
from bench.report import Cell
from bench.rounding import Symmetry, permute_in_batches
from bench.stages import WEIGHT_NAMES, early_values, first_batches
from movierank.oracle import Oracle, train
from movierank.ratings import Ratings
from movierank.weights import initial_weights

pytestmark = pytest.mark.backend_free

USERS, MOVIES, BATCH, EPOCHS = 60, 90, 250, 2
STAGES = ("forward", "epoch 1", "epoch 2")
DERIVED = ("rmse", "ranking tau", "ranking top-10")
JAX, TENSORFLOW, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "tensorflow", "torch"))


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
PART = TestPart.of(TEST.user_id, TEST.label)


def task(seed: int = 0) -> Task:
    return Task(initial_weights(USERS, MOVIES, seed=seed), TRAIN, TEST, BATCH, EPOCHS, 0.1)


@cache
def reference(seed: int = 0) -> Reference:
    return measure(task(seed), seed=seed, variants=["tensorflow-indexed-slices"], threads=1)


def judge(trajectories: list[Trajectory], references: dict[int, Reference]) -> list[ParityResult]:
    return parity.judge(trajectories, references, PART, EPOCHS)


def trained(cell: Cell = JAX, *, data: Ratings = TRAIN, permutation: int | None = 0, **oracle: Any) -> Trajectory:
    """A float32 training's predictions; a `permutation` gives it a rounding of its own."""
    weights, seed = initial_weights(USERS, MOVIES, seed=0), 0
    if permutation is not None:
        rng = np.random.default_rng([99, permutation])
        weights = Symmetry.draw(weights, rng).apply(weights)
        data = permute_in_batches(data, BATCH, rng)
    model = Oracle(weights, dtype=np.float32, **oracle)
    values = {"forward": model.predict(TEST.user_id, TEST.movie_id)}
    train(
        model,
        data,
        BATCH,
        EPOCHS,
        lambda epoch, _: values.__setitem__(f"epoch {epoch}", model.predict(TEST.user_id, TEST.movie_id)),
    )
    return Trajectory(cell, seed, 0, values)


def first_steps(cell: Cell = JAX, fault: Callable[[Oracle], None] = lambda oracle: None, **oracle: Any) -> Trajectory:
    """The early stages of a float32 training from the shared weights; `fault` may change it before it starts."""

    def build() -> Oracle:
        model = Oracle(initial_weights(USERS, MOVIES, seed=0), dtype=np.float32, **oracle)
        fault(model)
        return model

    return Trajectory(cell, 0, 0, early_values(build, first_batches(TRAIN, BATCH)))


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
    assert verdicts(results) == dict.fromkeys((*STAGES, *DERIVED), "within")


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
    assert [(r.a, r.b, r.stage) for r in pair] == [("jax/cpu/fit", "torch/cpu/fit", s) for s in (*STAGES, *DERIVED)]
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
        for s, v in clean.values.items()
    }
    found = verdicts(judge([replace(clean, values=stages)], {0: reference()}))
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
    last = run.values["epoch 2"].copy()
    last[7] = value
    results = judge([replace(run, values={**run.values, "epoch 2": last})], {0: reference()})
    broken = [r for r in results if r.verdict == "outside"]
    assert [r.stage for r in broken] == ["epoch 2", *DERIVED]
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
    nan = replace(far, process=1, values={s: np.full_like(v, np.nan) for s, v in far.values.items()})
    for runs in ([far, nan], [nan, far]):
        assert all(r.rms is None for r in judge(runs, {0: reference()}))


def test_each_seed_is_judged_by_its_own_oracle_and_never_against_another_seed() -> None:
    first, other = trained(JAX), replace(trained(TORCH, learning_rate=0.11), seed=1)
    assert all(r.b == "oracle" for r in judge([first, other], {0: reference(0), 1: reference(1)}))
    mislabelled = verdicts(judge([replace(first, seed=1)], {1: reference(1)}))
    assert mislabelled["forward"] == "outside"


def test_a_training_that_ended_early_is_judged_as_far_as_it_came() -> None:
    run = clean_training()
    short = replace(run, cell=TORCH, values={s: run.values[s] for s in STAGES[:2]})
    results = judge([run, short], {0: reference()})
    assert [r.stage for r in results if r.a == "torch/cpu/fit" or r.b == "torch/cpu/fit"] == [*STAGES[:2], *STAGES[:2]]


def test_without_references_there_is_nothing_to_judge() -> None:
    assert judge([clean_training()], {}) == []
    assert judge([], {0: reference()}) == []


def test_predictions_of_another_test_part_are_refused() -> None:
    run = clean_training()
    short = replace(run, values={s: v[:-1] for s, v in run.values.items()})
    with pytest.raises(BenchError, match="jax/cpu/fit has 999 values at forward, the oracle 1000"):
        judge([short], {0: reference()})


def test_judging_needs_no_framework() -> None:
    code = "import sys, bench.parity; print({'keras', 'jax', 'torch', 'tensorflow', 'scipy.stats'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def outside(results: list[ParityResult]) -> dict[str, str | None]:
    return {result.stage: result.known for result in results if result.verdict == "outside"}


def test_clean_copies_are_within_at_every_stage_from_the_loss_to_the_rankings() -> None:
    for place, stream in enumerate(np.random.SeedSequence(7).spawn(5)):
        results = judge([Trajectory(JAX, 0, 0, trained_copy(task(), stream))], {0: reference()})
        assert not outside(results), place
        assert len(results) == 2 + 6 * 8 + EPOCHS + 4, "every stage is judged"


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"epsilon": 1e-8}, "probe/user_embedding"),
        ({"learning_rate": 0.1001}, "probe/user_embedding"),
        ({"fault": lambda oracle: oracle.accumulators.bias2.fill(0.11)}, "accumulators 1/bias2"),
        ({"fault": lambda oracle: oracle.weights.kernel2.__setitem__((3, 4), 0.01)}, "loss"),
    ],
    ids=["epsilon", "learning rate", "accumulator", "one weight"],
)
def test_a_fault_in_the_first_step_is_outside_from_the_stage_where_it_shows(
    options: dict[str, Any], first: str
) -> None:
    found = outside(judge([first_steps(**options)], {0: reference()}))
    assert next(iter(found)) == first
    assert not any(found.values())


def test_a_difference_in_one_weight_is_told_with_its_place() -> None:
    run = first_steps()
    changed = np.array(run.values["gradient/kernel1"])
    changed[5, 17] += 1.0
    results = judge([replace(run, values={**run.values, "gradient/kernel1": changed})], {0: reference()})
    (result,) = (r for r in results if r.verdict == "outside")
    assert (result.stage, result.where, result.seed) == ("gradient/kernel1", [5, 17], 0)
    assert result.ulps is not None
    assert result.ulps > 1e6


def test_a_known_deviation_is_named_with_the_oracle_and_with_every_other_cell() -> None:
    clean, deviating = first_steps(JAX), first_steps(TENSORFLOW, squares="one_by_one")
    results = judge([clean, deviating, replace(clean, cell=TORCH)], {0: reference()})
    found = [r for r in results if r.verdict == "outside"]
    assert {r.known for r in found} == {"tensorflow-indexed-slices"}
    assert {(r.a, r.b) for r in found} == {
        ("tensorflow/cpu/fit", "oracle"),
        ("jax/cpu/fit", "tensorflow/cpu/fit"),
        ("tensorflow/cpu/fit", "torch/cpu/fit"),
    }
    stages = {r.stage for r in found}
    assert {f"{kind}/{table}" for kind in ("probe", "accumulators 1") for table in WEIGHT_NAMES[:2]} <= stages


def test_what_is_known_of_one_backend_excuses_no_other() -> None:
    assert set(outside(judge([first_steps(JAX, squares="one_by_one")], {0: reference()})).values()) == {None}


def test_a_known_deviation_hides_no_other_fault() -> None:
    both = first_steps(TENSORFLOW, squares="one_by_one", learning_rate=0.1001)
    found = outside(judge([both], {0: reference()}))
    assert found["probe/user_embedding"] is None
    assert found["probe/kernel1"] is None


def test_the_step_and_the_unit_where_two_trainings_part_are_told() -> None:
    clean = first_steps()
    trace = np.array(clean.values["bias trace"])
    trace[3:, 256 + 17] += 1e-4
    parted = replace(clean, cell=TORCH, values={**clean.values, "bias trace": trace})
    found = {(d.a, d.b): d for d in divergences([clean, parted], {0: reference()})}
    assert found["jax/cpu/fit", "oracle"].step is None
    pair = found["jax/cpu/fit", "torch/cpu/fit"]
    assert (pair.step, pair.steps, pair.unit) == (4, 10, "bias2[17]")
    assert pair.difference == pytest.approx(1e-4, rel=1e-3)


def test_a_cell_of_reduced_precision_meets_its_own_float32_cell_alone_and_widens_no_limit() -> None:
    run = clean_training()
    reduced = replace(run, cell=Cell(backend="jax", device="cpu", loop="fit:bfloat16"))
    full = [run, replace(run, cell=TORCH)]
    alone, beside = judge(full, {0: reference()}), judge([*full, reduced], {0: reference()})
    pairs = {(r.a, r.b) for r in beside if "bfloat16" in r.a + r.b}
    assert pairs == {("jax/cpu/fit:bfloat16", "oracle"), ("jax/cpu/fit", "jax/cpu/fit:bfloat16")}
    assert [r for r in beside if (r.a, r.b) not in pairs] == alone


def test_a_known_deviation_explains_the_rmse_and_the_rankings_that_follow_from_it() -> None:
    name, known = "tensorflow-indexed-slices", reference()
    noise = np.random.default_rng(0).normal(0, 0.05, len(TEST))
    variant = {**known.variants[name], "epoch 2": known.variants[name]["epoch 2"] + noise}
    run = trained(TENSORFLOW, squares="one_by_one")
    deviating = replace(run, values={**run.values, "epoch 2": run.values["epoch 2"] + noise})
    found = outside(judge([deviating], {0: replace(known, variants={name: variant})}))
    assert set(found) == {"epoch 2", *DERIVED}
    assert set(found.values()) == {name}
    unknown = outside(judge([deviating], {0: known}))
    assert set(unknown.values()) == {None}
