from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.parity.numpy_oracle import Task, measure, trained_copy
from bench.parity.numpy_process import EnvelopeRequest, measure_in_process
from bench.parity.rounding import Symmetry, flip_of_copy, nearest_flips, permute_in_batches
from bench.parity.stages import early_values, first_batches
from bench.parity.thresholds import CAP, FALSE_ALARMS, NO_CAP, PRIOR_LOG_SD, PRIOR_RMSE_SHARE, thresholds
from bench.schema.parity import StageEnvelope
from movierank.data.ratings import Ratings
from movierank.oracle import Oracle
from movierank.weights import initial_weights

pytestmark = pytest.mark.backend_free


def some_ratings(count: int, seed: int) -> Ratings:
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(1, 21, count), rng.integers(1, 31, count)
    return Ratings(user.astype(np.int32), movie.astype(np.int32), (rng.integers(0, 5, count) / 4).astype(np.float32))


WEIGHTS = initial_weights(20, 30, 8)
TRAIN, TEST = some_ratings(430, 1), some_ratings(100, 2)
TASK = Task(WEIGHTS, TRAIN, TEST, 100, 2, 0.1)


def request(folder: Path, **changes: object) -> EnvelopeRequest:
    for name, arrays in (("weights", WEIGHTS), ("train", TRAIN), ("test", TEST)):
        np.savez(folder / f"{name}.npz", **vars(arrays))
    fields = {name: str(folder / f"{name}.npz") for name in ("weights", "train", "test")}
    whole = EnvelopeRequest(
        **fields, batch_size=100, epochs=2, learning_rate=0.1, seed=0, output=str(folder / "envelope")
    )
    return msgspec.structs.replace(whole, **changes)


def test_a_process_measures_the_same_twice_and_names_every_stage(tmp_path: Path) -> None:
    first, second = (measure_in_process(request(tmp_path, threads=threads)) for threads in (1, 2))
    named = [stage.stage for stage in first.envelope]
    assert named[:3] == ["forward", "loss", "gradient/user_embedding"]
    assert named[-5:] == ["epoch 1", "epoch 2", "training rmse", "rmse", "ranking tau"]
    assert (first.envelope, first.bias_step) == (second.envelope, second.bias_step)
    assert set(named[:-2]) == set(first.oracle) - {"bias trace"}
    for stage, values in first.oracle.items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, second.oracle[stage])


def test_a_known_deviation_has_an_oracle_of_its_own(tmp_path: Path) -> None:
    found = measure_in_process(request(tmp_path, variants=["tensorflow-indexed-slices"]))
    (variant,) = found.variants.values()
    np.testing.assert_array_equal(variant["gradient/kernel1"], found.oracle["gradient/kernel1"])
    assert (variant["accumulators 1/user_embedding"] != found.oracle["accumulators 1/user_embedding"]).any()


def test_a_copy_tells_its_first_steps_in_the_order_of_the_weights_it_was_made_from() -> None:
    copy = trained_copy(TASK, np.random.SeedSequence(3))
    exact = early_values(lambda: Oracle(WEIGHTS), first_batches(TRAIN, 100))
    for stage, values in exact.items():
        np.testing.assert_allclose(copy[stage], values, rtol=0, atol=3e-8 + 1e-5 * float(np.abs(values).max()))


def test_the_envelope_holds_every_pair_and_lies_at_the_size_of_float32_rounding(tmp_path: Path) -> None:
    reference = measure(TASK, seed=0, runs=4, threads=1)
    for stage in reference.envelope:
        assert (stage.trainings, len(stage.rms)) == (5, 10)
    forward, *_ = reference.envelope
    assert 1e-10 < min(forward.rms) <= max(forward.rms) < 1e-7


def test_a_learning_rate_at_which_training_diverges_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="diverges at learning rate 1e\\+300"):
        measure_in_process(request(tmp_path, learning_rate=1e300))


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(BenchError, match="at least 3 runs, not 2"):
        measure(TASK, seed=0, runs=2)


@given(seed=st.integers(0, 10_000))
def test_permuted_units_define_the_same_function(seed: int) -> None:
    symmetry = Symmetry.draw(WEIGHTS, np.random.default_rng(seed))
    permuted = symmetry.apply(WEIGHTS)
    ids = TEST.user_id, TEST.movie_id
    np.testing.assert_allclose(Oracle(permuted).predict(*ids), Oracle(WEIGHTS).predict(*ids), rtol=0, atol=1e-14)
    for layer, (z, moved) in enumerate(
        zip(Oracle(WEIGHTS).preactivations(*ids), Oracle(permuted).preactivations(*ids), strict=True), start=1
    ):
        places = [symmetry.place(f"bias{layer}", unit) for unit in range(z.shape[1])]
        np.testing.assert_allclose(moved[:, places], z, rtol=0, atol=1e-14)
    for back, array in zip(symmetry.inverse().apply(permuted).as_list(), WEIGHTS.as_list(), strict=True):
        np.testing.assert_array_equal(back, array)


@given(seed=st.integers(0, 10_000), batch_size=st.integers(1, 500))
def test_permuted_batches_hold_the_same_ratings(seed: int, batch_size: int) -> None:
    numbered = Ratings(np.arange(430, dtype=np.int32), TRAIN.movie_id, TRAIN.label)
    permuted = permute_in_batches(numbered, batch_size, np.random.default_rng(seed))
    for start in range(0, 430, batch_size):
        assert sorted(permuted.user_id[start : start + batch_size]) == list(range(start, min(start + batch_size, 430)))
    np.testing.assert_array_equal(permuted.movie_id, TRAIN.movie_id[permuted.user_id])


def test_every_flip_opens_or_closes_a_relu_and_hardly_moves_a_prediction() -> None:
    flips = [flip for pair in nearest_flips(WEIGHTS, TRAIN, 6) for flip in pair]
    assert [name for name, _, _ in flips] == ["bias1", "bias2"] * 6
    assert len(set(flips)) == 12
    ids = TRAIN.user_id, TRAIN.movie_id
    before = Oracle(WEIGHTS)
    for name, unit, change in flips:
        after = Oracle(WEIGHTS)
        getattr(after.weights, name)[unit] += change
        layer = int(name[-1]) - 1
        open_before, open_after = (oracle.preactivations(*ids)[layer] > 0 for oracle in (before, after))
        assert (open_before != open_after).any()
        assert np.abs(after.predict(*ids) - before.predict(*ids)).max() < 1e-4


def test_copies_that_may_flip_at_once_have_the_nearest_flips() -> None:
    assert [flip_of_copy(copy) for copy in range(6)] == [3, 0, 4, 1, 5, 2]
    assert [flip_of_copy(copy) for copy in (7, 9)] == [3, 4]


def test_distances_of_two_sizes_leave_no_gap_in_which_nothing_is_outside() -> None:
    both = StageEnvelope(
        stage="gradient/kernel1", trainings=7, rms=[1e-8] * 6 + [1e-4] * 15, resolution=1e-9, values=50
    )
    assert thresholds([both], 500)[both.stage] == pytest.approx(CAP * 1e-4)
    assert thresholds([both], 500, NO_CAP)[both.stage] > 1e-1
    alike = msgspec.structs.replace(both, rms=[1e-8] * 21)
    assert thresholds([alike], 500) == thresholds([alike], 500, NO_CAP)


def stages_of(rng: np.random.Generator, scale: float, log_sd: float, share: float) -> list[StageEnvelope]:
    """Seven trainings whose distances are log-normal at one stage, and whose RMSEs are normal."""
    last = scale * np.exp(rng.normal(0, log_sd, 21))
    rmse = rng.normal(0, share * scale / 2**0.5, 7)
    pairs = np.abs(rmse[:, None] - rmse)[np.triu_indices(7, 1)]
    return [
        StageEnvelope(stage="epoch 1", trainings=7, rms=last.tolist(), resolution=1e-12, values=9),
        StageEnvelope(stage="rmse", trainings=7, rms=pairs.tolist(), resolution=1e-12, values=1),
    ]


@pytest.mark.parametrize("log_sd", [0.1, PRIOR_LOG_SD, 0.6])
def test_false_alarms_are_no_more_frequent_than_promised(log_sd: float) -> None:
    # One in ten for each comparison is what 0.01 / comparisons stands for here, so that 4,000 draws can tell.
    comparisons = FALSE_ALARMS / 0.1
    rng = np.random.default_rng(0)
    alarms = np.zeros(2)
    for _ in range(4000):
        limits = thresholds(stages_of(rng, 1e-4, log_sd, PRIOR_RMSE_SHARE), comparisons)  # type: ignore[arg-type]
        one_more = 1e-4 * np.exp(rng.normal(0, log_sd)), abs(rng.normal(0, PRIOR_RMSE_SHARE * 1e-4))
        alarms += [one_more[0] > limits["epoch 1"], one_more[1] > limits["rmse"]]
    # 0.115 is three standard errors above 0.1. A spread beyond the typical one may cost a little more.
    assert alarms.max() / 4000 < (0.115 if log_sd <= PRIOR_LOG_SD else 0.15)
    assert alarms[1] / 4000 > 0.05, "a threshold that is never crossed guards nothing"


@given(scale=st.floats(1e-9, 1e3), comparisons=st.integers(1, 1000), seed=st.integers(0, 999))
def test_thresholds_scale_with_the_distances_and_rise_with_the_comparisons(
    scale: float, comparisons: int, seed: int
) -> None:
    one = thresholds(stages_of(np.random.default_rng(seed), 1.0, 0.4, 0.2), comparisons)
    scaled = thresholds(stages_of(np.random.default_rng(seed), scale, 0.4, 0.2), comparisons)
    more = thresholds(stages_of(np.random.default_rng(seed), 1.0, 0.4, 0.2), comparisons + 1)
    for stage, limit in one.items():
        assert scaled[stage] == pytest.approx(scale * limit, rel=1e-6)
        assert more[stage] > limit > 0


def test_copies_that_agree_to_the_last_bit_still_leave_room_for_rounding() -> None:
    equal = [
        StageEnvelope(stage=stage, trainings=4, rms=[0.0] * 6, resolution=1e-8, values=values)
        for stage, values in (("forward", 9), ("rmse", 1))
    ]
    assert all(limit > 1e-9 for limit in thresholds(equal, 10).values())
