from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierank.data.ratings import Ratings
from movierank.oracle import EPSILON, INITIAL_ACCUMULATOR, KNOWN_VARIANTS, Oracle, train
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 6, 9, 4
NAMES = [field.name for field in fields(Weights)]


def lively_weights(seed: int = 0) -> Weights:
    """Weights so large that every gradient is far above float32's rounding, with biases that are not zero."""
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=seed)
    rng = np.random.default_rng(seed)
    scale = {"user_embedding": 10, "candidate_embedding": 10, "kernel3": 3}
    arrays = {name: getattr(drawn, name) * np.float32(scale.get(name, 1)) for name in NAMES}
    for bias in ("bias1", "bias2", "bias3"):
        arrays[bias] = rng.normal(0, 0.1, arrays[bias].shape).astype(np.float32)
    return Weights(**arrays)


def some_ratings(count: int, seed: int = 0) -> Ratings:
    rng = np.random.default_rng(seed)
    user = rng.integers(1, USERS + 1, count).astype(np.int32)
    movie = rng.integers(1, MOVIES + 1, count).astype(np.int32)
    return Ratings(user, movie, (rng.integers(0, 5, count) / 4).astype(np.float32))


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_every_gradient_is_the_slope_of_the_loss(seed: int, count: int) -> None:
    weights, batch = lively_weights(seed).astype(np.float64), some_ratings(count, seed)
    _, gradients = Oracle(weights).loss_and_gradients(batch)
    rng = np.random.default_rng(seed)
    h = 1e-6
    for name in NAMES:
        direction = rng.normal(size=getattr(weights, name).shape)

        def loss(step: float, name: str = name, direction: np.ndarray = direction) -> float:
            moved = weights.astype(np.float64)
            getattr(moved, name)[...] += step * direction
            return Oracle(moved).loss_and_gradients(batch)[0]

        forward, backward = (loss(h) - loss(0)) / h, (loss(0) - loss(-h)) / h
        slope = float(np.sum(getattr(gradients, name) * direction))
        # A relu may open or close inside the step; the slope then lies between the two one-sided ones.
        assert min(forward, backward) - 1e-4 <= slope <= max(forward, backward) + 1e-4, name


def test_the_loss_is_the_mean_squared_error_of_the_predictions() -> None:
    oracle, batch = Oracle(lively_weights()), some_ratings(50)
    loss, _ = oracle.loss_and_gradients(batch)
    assert loss == pytest.approx(np.mean((oracle.predict(batch.user_id, batch.movie_id) - batch.label) ** 2), rel=1e-12)


@pytest.mark.parametrize("squares", ["sum_then_square", "square_then_sum"])
def test_repeated_ids_follow_the_accumulator_rule_written_out_example_by_example(squares: str) -> None:
    batch, weights = some_ratings(40, seed=3), lively_weights().astype(np.float64)
    oracle = Oracle(weights, learning_rate=0.1, squares=squares)  # type: ignore[arg-type]
    singles = [Oracle(weights).loss_and_gradients(batch.take(slice(i, i + 1)))[1] for i in range(len(batch))]
    oracle.step(batch)
    for name in ("user_embedding", "candidate_embedding"):
        slices = [getattr(single, name) / len(batch) for single in singles]
        total = sum(slices)
        squared = total**2 if squares == "sum_then_square" else sum(one**2 for one in slices)
        accumulator = INITIAL_ACCUMULATOR + squared
        np.testing.assert_allclose(getattr(oracle.accumulators, name), accumulator, rtol=1e-12)
        expected = getattr(weights, name) - 0.1 * total / np.sqrt(accumulator + EPSILON)
        np.testing.assert_allclose(getattr(oracle.weights, name), expected, rtol=1e-12)


def test_slices_that_are_added_one_by_one_round_each_time_as_float32_does() -> None:
    weights = lively_weights().astype(np.float32)
    batch = some_ratings(400, seed=3)  # of so few ids that each comes up often
    sums, singly = (
        Oracle(weights, learning_rate=0.1, squares=rule)
        for rule in ("square_then_sum", "one_by_one")  # type: ignore[arg-type]
    )
    slices = [Oracle(weights).loss_and_gradients(batch.take(slice(i, i + 1)))[1] for i in range(len(batch))]
    expected = np.full_like(weights.user_embedding, INITIAL_ACCUMULATOR)
    for i in range(len(batch)):
        row = batch.user_id[i]
        expected[row] += np.square((slices[i].user_embedding[row] / len(batch)).astype(np.float32))
    sums.step(batch)
    singly.step(batch)
    np.testing.assert_allclose(singly.accumulators.user_embedding, expected, rtol=3e-7)
    np.testing.assert_allclose(singly.accumulators.user_embedding, sums.accumulators.user_embedding, atol=1e-6)
    np.testing.assert_allclose(singly.weights.user_embedding, sums.weights.user_embedding, atol=1e-5)
    assert (singly.accumulators.user_embedding != sums.accumulators.user_embedding).any()


def test_rows_of_ids_that_a_batch_lacks_stay_exactly_as_they_were() -> None:
    weights = lively_weights()
    oracle = Oracle(weights)
    oracle.step(Ratings(np.array([2, 2], np.int32), np.array([5, 7], np.int32), np.array([0.0, 1.0], np.float32)))
    moved = np.flatnonzero((oracle.weights.user_embedding != weights.user_embedding).any(axis=1))
    assert moved.tolist() == [2]
    moved = np.flatnonzero((oracle.accumulators.candidate_embedding != INITIAL_ACCUMULATOR).any(axis=1))
    assert moved.tolist() == [5, 7]


def test_the_last_partial_batch_is_trained_with_its_own_mean() -> None:
    ratings = some_ratings(10)
    whole, by_hand = Oracle(lively_weights()), Oracle(lively_weights())
    train(whole, ratings, batch_size=4, epochs=2)
    for _ in range(2):
        for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
            by_hand.step(ratings.take(part))
    for a, b in zip(whole.weights.as_list(), by_hand.weights.as_list(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_tells_each_epoch_and_lowers_the_loss() -> None:
    ratings, losses = some_ratings(60), []
    oracle = Oracle(lively_weights(), learning_rate=0.01)
    train(oracle, ratings, 20, 5, lambda epoch, _: losses.append((epoch, oracle.loss_and_gradients(ratings)[0])))
    assert [epoch for epoch, _ in losses] == [1, 2, 3, 4, 5]
    assert losses[-1][1] < losses[0][1] < Oracle(lively_weights()).loss_and_gradients(ratings)[0]


def test_training_leaves_the_given_weights_alone() -> None:
    weights = lively_weights()
    before = weights.astype(np.float32)
    for dtype in (np.float32, np.float64):
        train(Oracle(weights, dtype=dtype), some_ratings(20), 5, 1)
    for a, b in zip(weights.as_list(), before.as_list(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_float32_oracle_stays_in_float32() -> None:
    oracle = Oracle(lively_weights(), dtype=np.float32)
    train(oracle, some_ratings(20), 5, 1)
    arrays = [*oracle.weights.as_list(), *oracle.accumulators.as_list(), oracle.predict(*some_ids())]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def some_ids() -> tuple[np.ndarray, np.ndarray]:
    return np.array([1, 2], np.int32), np.array([3, 4], np.int32)


def test_two_steps_of_the_real_keras_give_the_same_weights_and_accumulators() -> None:
    keras = pytest.importorskip("keras")
    from movierank.model import RankingModel
    from movierank.training import compile_model

    weights, batch = lively_weights(), some_ratings(32)
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.build({"user_id": (None,), "movie_id": (None,)})
    model.set_weights(weights.as_list())
    compile_model(model, learning_rate=0.1)
    rule = KNOWN_VARIANTS["tensorflow-indexed-slices"] if keras.backend.backend() == "tensorflow" else "sum_then_square"
    oracle = Oracle(weights, learning_rate=0.1, squares=rule)
    other = Oracle(weights, learning_rate=0.1, squares="sum_then_square" if rule != "sum_then_square" else "one_by_one")
    for _ in range(2):
        loss = model.train_on_batch(batch.features, batch.label)[0]
        oracle.step(batch)
        other.step(batch)
    assert np.isfinite(loss)

    accumulators = [
        keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables if "accumulator" in variable.path
    ]
    assert len(accumulators) == len(NAMES)
    for name, weight, accumulator in zip(NAMES, model.get_weights(), accumulators, strict=True):
        np.testing.assert_allclose(weight, getattr(oracle.weights, name), atol=2e-5, err_msg=name)
        np.testing.assert_allclose(accumulator, getattr(oracle.accumulators, name), rtol=1e-4, err_msg=name)
    off = np.abs(accumulators[0] - other.accumulators.user_embedding) / other.accumulators.user_embedding
    assert off.max() > 0.01, "the other accumulator rule must be distinguishable, or this test shows nothing"
