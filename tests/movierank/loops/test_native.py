from __future__ import annotations

import keras
import numpy as np
import pytest

from movierank import oracle, training
from movierank.data.ratings import Ratings
from movierank.loops import LOOP_NAMES, examples, native
from movierank.model import RankingModel
from movierank.training import TrainingState
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 6, 9, 4
NATIVE = [name for name in LOOP_NAMES if name.startswith("native")]


def lively_weights() -> Weights:
    """Weights so large that every gradient is far above float32's rounding."""
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=1)
    scale = {"user_embedding": 10, "candidate_embedding": 10, "kernel3": 3}
    return Weights(**{name: value * np.float32(scale.get(name, 1)) for name, value in vars(drawn).items()})


def some_ratings(count: int) -> Ratings:
    """Ratings of so few users and movies that every batch repeats some, and leaves out others."""
    rng = np.random.default_rng(count)
    user, movie = rng.integers(1, USERS, count), rng.integers(1, MOVIES, count)
    return Ratings(user.astype(np.int32), movie.astype(np.int32), (rng.integers(0, 5, count) / 4).astype(np.float32))


def compiled() -> RankingModel:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.load_initial_weights(lively_weights())
    training.compile_model(model)
    return model


def assert_trained_like(model: RankingModel, exact: oracle.Oracle) -> None:
    grown = [training.as_numpy(variable) for variable in native.accumulators(model)]
    wanted = exact.weights.as_list() + exact.accumulators.as_list()
    for found, expected in zip(model.get_weights() + grown, wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("loop", NATIVE)
def test_the_loop_is_the_oracle_s_mathematics_with_repeated_ids_and_a_partial_batch(loop: str) -> None:
    model, ratings, exact = compiled(), some_ratings(25), oracle.Oracle(lively_weights())
    rmses: list[float] = []
    oracle.train(exact, ratings, batch_size=7, epochs=3, on_epoch=lambda _, rmse: rmses.append(rmse))
    records = training.fit(model, ratings, batch_size=7, epochs=3, loop=loop)
    assert_trained_like(model, exact)
    assert [record.rmse for record in records] == pytest.approx(rmses, rel=1e-5)
    assert [record.loss for record in records] == pytest.approx(np.square(rmses), rel=1e-5)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)) == 12


@pytest.mark.parametrize("loop", NATIVE)
def test_rows_that_no_example_has_keep_their_bits(loop: str) -> None:
    model, ratings = compiled(), some_ratings(20)
    training.fit(model, ratings, batch_size=5, epochs=1, loop=loop)
    users = training.as_numpy(model.weights[0])
    assert np.array_equal(users[[0, USERS]], lively_weights().user_embedding[[0, USERS]])
    assert not np.array_equal(users[1], lively_weights().user_embedding[1])


def test_chunks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, in_chunks, ratings = compiled(), compiled(), some_ratings(40)
    wanted = training.fit(whole, ratings, batch_size=4, epochs=2, loop="native")
    monkeypatch.setattr(examples, "CHUNK_BYTES", 12 * 4 * 3)  # three batches
    found = training.fit(in_chunks, ratings, batch_size=4, epochs=2, loop="native")
    assert [record.rmse for record in found] == pytest.approx([record.rmse for record in wanted], rel=1e-6)
    for one, other in zip(TrainingState.of(in_chunks).weights, TrainingState.of(whole).weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_shuffled_epoch_trains_on_the_same_examples_in_another_order() -> None:
    ratings, orders = some_ratings(24), []
    for seed in (0, 0, 1):
        model = compiled()
        keras.utils.set_random_seed(seed)
        native.fit(model, ratings.features, ratings.label, batch_size=24, shuffle=True)
        orders.append(model.get_weights())
        assert_trained_like(model, _after_one_step(ratings))
    assert all(np.array_equal(a, b) for a, b in zip(orders[0], orders[1], strict=True))


def _after_one_step(ratings: Ratings) -> oracle.Oracle:
    exact = oracle.Oracle(lively_weights())
    exact.step(ratings)
    return exact


def test_a_learning_rate_that_a_callback_sets_is_taken() -> None:
    ratings, model = some_ratings(20), compiled()
    slower = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch == 0 else 0.0)
    native.fit(model, ratings.features, ratings.label, batch_size=5, epochs=3, callbacks=[slower])
    exact = oracle.Oracle(lively_weights())
    oracle.train(exact, ratings, batch_size=5, epochs=1)
    for found, wanted in zip(model.get_weights(), exact.weights.as_list(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_gradients_are_the_oracle_s() -> None:
    ratings = some_ratings(30)
    loss, gradients = native.module_for(keras.backend.backend()).loss_and_gradients(
        compiled(), ratings.features, ratings.label
    )
    wanted_loss, wanted = oracle.Oracle(lively_weights()).loss_and_gradients(ratings)
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    for found, expected in zip(gradients, wanted.as_list(), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_the_model_goes_on_with_keras_afterwards() -> None:
    model, ratings, exact = compiled(), some_ratings(20), oracle.Oracle(lively_weights())
    training.fit(model, ratings, batch_size=20, epochs=1, loop="native")
    exact.step(ratings)
    assert training.evaluate(model, ratings).loss == pytest.approx(exact.loss_and_gradients(ratings)[0], rel=1e-4)
    training.fit(model, ratings, batch_size=20, epochs=2, loop="fit")
    training.fit(model, ratings, batch_size=20, epochs=1, loop="native")
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)) == 4


def test_an_interrupt_leaves_a_usable_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ratings = compiled(), some_ratings(20)
    monkeypatch.setattr(examples, "CHUNK_BYTES", 12 * 5)  # a batch
    whole = examples.Examples.chunks

    def interrupted(self: examples.Examples, order: object = None) -> object:
        yield from list(whole(self, order))[:2]  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(examples.Examples, "chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.fit(model, ratings, batch_size=5, epochs=1, loop="native")
    monkeypatch.setattr(examples.Examples, "chunks", whole)
    assert np.isfinite(training.evaluate(model, ratings).loss)
    training.fit(model, ratings, batch_size=5, epochs=1, loop="native")
    training.fit(model, ratings, batch_size=5, epochs=1, loop="fit")


@pytest.mark.parametrize(
    ("optimizer", "loss", "message"),
    [
        (keras.optimizers.Adam, "mse", "RankingModel with Adagrad"),
        (lambda: keras.optimizers.Adagrad(clipnorm=1.0), keras.losses.MeanSquaredError(), "has no clipnorm"),
        (keras.optimizers.Adagrad, keras.losses.MeanAbsoluteError(), "mean squared error"),
        (keras.optimizers.Adagrad, keras.losses.MeanSquaredError(reduction="sum"), "mean squared error"),
        (
            lambda: keras.optimizers.Adagrad(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
            keras.losses.MeanSquaredError(),
            "learning-rate schedule",
        ),
    ],
)
def test_another_training_is_refused(optimizer: type[keras.optimizers.Optimizer], loss: object, message: str) -> None:
    model, ratings = compiled(), some_ratings(5)
    model.compile(optimizer=optimizer(), loss=loss)
    with pytest.raises(ValueError, match=message):
        native.fit(model, ratings.features, ratings.label, batch_size=5)


def test_frozen_layers_unknown_ids_and_keras_s_slices_are_refused() -> None:
    model, ratings = compiled(), some_ratings(5)
    with pytest.raises(ValueError, match=f"movie_id in one dimension and from 0 to {MOVIES}"):
        native.fit(model, {**ratings.features, "movie_id": ratings.movie_id + MOVIES}, ratings.label, batch_size=5)
    with pytest.raises(ValueError, match="slices"):
        native.fit(model, ratings.features, ratings.label, batch_size=5, embedding_updates="slices")
    model.user_embedding.trainable = False
    with pytest.raises(ValueError, match="some are frozen"):
        native.fit(model, ratings.features, ratings.label, batch_size=5)
