from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from movierank import oracle, training
from movierank.data.ratings import Dataset, Float32Array, Ratings
from movierank.data.splits import split_ratings
from movierank.model import RankingModel
from movierank.training import EpochRecord, TrainingState
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 6, 9, 4
PUBLISHED_TEST_RMSE = 0.25776  # the tutorial's split and epochs from the weights of seed 0, on all three backends


def lively_weights() -> Weights:
    """Weights so large that every gradient is far above float32's rounding."""
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=1)
    scale = {"user_embedding": 10, "candidate_embedding": 10, "kernel3": 3}
    return Weights(**{name: value * np.float32(scale.get(name, 1)) for name, value in vars(drawn).items()})


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch's threads wait for each other at every step, some twenty times as long where a core is busy."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_epochs_at_most() -> Iterator[None]:
    """Limit trainings to two epochs, as KERAS_MAX_EPOCHS=2 does."""
    keras.config.set_max_epochs(2)
    yield
    keras.config.set_max_epochs(None)


def some_ratings(count: int) -> Ratings:
    rng = np.random.default_rng(count)
    user = rng.integers(1, USERS + 1, count).astype(np.int32)
    movie = rng.integers(1, MOVIES + 1, count).astype(np.int32)
    return Ratings(user, movie, (rng.integers(0, 5, count) / 4).astype(np.float32))


def compiled() -> RankingModel:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.load_initial_weights(lively_weights())
    training.compile_model(model)
    return model


def assert_same_state(model: RankingModel, other: RankingModel) -> None:
    state, wanted = TrainingState.of(model), TrainingState.of(other)
    for found, expected in zip(state.weights + state.optimizer, wanted.weights + wanted.optimizer, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_history_has_one_record_an_epoch() -> None:
    records = training.fit(compiled(), some_ratings(50), batch_size=10, epochs=4)
    assert [record.epoch for record in records] == [1, 2, 3, 4]
    assert records[-1].loss < records[0].loss
    for record in records:
        assert record.rmse == pytest.approx(record.loss**0.5, rel=1e-4)


def test_a_word_after_every_epoch_changes_nothing() -> None:
    at_once, with_pauses = compiled(), compiled()
    seen: list[EpochRecord] = []

    def look(record: EpochRecord) -> None:
        seen.append(record)
        training.predict(with_pauses, some_ratings(5).features)
        training.evaluate(with_pauses, some_ratings(5))

    wanted = training.fit(at_once, some_ratings(47), batch_size=10, epochs=3)
    records = training.fit(with_pauses, some_ratings(47), batch_size=10, epochs=3, on_epoch=look)
    assert records == seen
    assert records == wanted
    assert_same_state(with_pauses, at_once)


def test_looking_on_is_the_same_training_where_the_optimizer_averages_weights() -> None:
    """Averages replace the weights at the end of `fit`; at the end of each epoch that would be another training."""

    def averaging() -> RankingModel:
        model = compiled()
        model.compile(keras.optimizers.Adagrad(0.1, use_ema=True, ema_momentum=0.5), "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
        return model

    at_once, looked_at = averaging(), averaging()
    ratings = some_ratings(47)
    seen: list[tuple[int, dict[str, float]]] = []
    predicted: list[Float32Array] = []

    def look(epoch: int, logs: dict[str, float]) -> None:
        seen.append((epoch, logs))
        predicted.append(training.predict(looked_at, ratings.features))

    data = (ratings.features, ratings.label)
    wanted = training.train(at_once, *data, batch_size=10, epochs=3)
    logs = training.train(looked_at, *data, batch_size=10, epochs=3, on_epoch=look)
    assert logs == wanted
    assert seen == list(enumerate(wanted, start=1))
    assert_same_state(looked_at, at_once)
    np.testing.assert_array_equal(predicted[-1], training.predict(at_once, ratings.features))
    again = [training.train(model, *data, batch_size=10, epochs=1) for model in (at_once, looked_at)]
    assert again[0] == again[1], "the training goes on"


def test_a_training_that_is_stopped_early_has_a_word_after_each_epoch_that_there_was() -> None:
    model, ratings = compiled(), some_ratings(40)
    stop = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=1)  # the loss falls
    seen: list[EpochRecord] = []
    records = training.fit(model, ratings, batch_size=10, epochs=9, callbacks=[stop], on_epoch=seen.append)
    assert seen == records
    assert [record.epoch for record in records] == [1, 2]


@pytest.mark.parametrize("loop", ["fit", "fused"])
def test_the_epoch_at_which_a_word_ends_the_training_is_reported_once(loop: str) -> None:
    model = compiled()
    seen: list[EpochRecord] = []

    def enough(record: EpochRecord) -> None:
        seen.append(record)
        model.stop_training = record.epoch == 2

    records = training.fit(model, some_ratings(40), batch_size=10, epochs=9, on_epoch=enough, loop=loop)
    assert seen == records
    assert [record.epoch for record in records] == [1, 2]


@pytest.mark.usefixtures("two_epochs_at_most")
def test_epochs_that_keras_leaves_out_are_not_waited_for() -> None:
    """The last epoch that there is finds the model as `fit` leaves it, here with averaged weights."""
    model, ratings = compiled(), some_ratings(40)
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    predicted: list[Float32Array] = []
    with pytest.warns(UserWarning, match="Limiting epochs to 2"):
        training.train(
            model,
            ratings.features,
            ratings.label,
            batch_size=10,
            epochs=9,
            on_epoch=lambda epoch, logs: predicted.append(training.predict(model, ratings.features)),
        )
    assert len(predicted) == 2
    np.testing.assert_array_equal(predicted[-1], training.predict(model, ratings.features))


def test_ratings_are_taken_in_their_order_and_the_last_partial_batch_too() -> None:
    ratings, model = some_ratings(25), compiled()
    squares = oracle.KNOWN_VARIANTS["tensorflow-indexed-slices"] if keras.backend.backend() == "tensorflow" else None
    exact = oracle.Oracle(lively_weights(), squares=squares or "sum_then_square")
    oracle.train(exact, ratings, batch_size=7, epochs=2)
    training.fit(model, ratings, batch_size=7, epochs=2)
    for found, wanted in zip(model.get_weights(), exact.weights.as_list(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)
    cut = oracle.Oracle(lively_weights())
    oracle.train(cut, ratings.take(slice(0, 21)), batch_size=7, epochs=2)
    distance = max(np.abs(a - b).max() for a, b in zip(cut.weights.as_list(), exact.weights.as_list(), strict=True))
    assert distance > 1e-2, "a dropped batch would show"


def test_evaluation_is_exact_also_with_a_partial_batch_and_trains_nothing() -> None:
    model, ratings = compiled(), some_ratings(25)
    error = training.predict(model, ratings.features, batch_size=4) - ratings.label
    result = training.evaluate(model, ratings, batch_size=7)
    assert result == EpochRecord(epoch=0, loss=result.loss, rmse=result.rmse)
    assert result.rmse == pytest.approx(float(np.sqrt(np.mean(np.square(error)))), rel=1e-5)
    assert_same_state(model, compiled())


def test_predictions_do_not_depend_on_the_batch() -> None:
    model, ratings = compiled(), some_ratings(25)
    found = training.predict(model, ratings.features, batch_size=7)
    assert (found.shape, found.dtype) == ((25,), np.float32)
    np.testing.assert_allclose(found, training.predict(model, ratings.features), rtol=0, atol=1e-6)


def test_a_restored_state_trains_again_to_the_same_bits() -> None:
    model, ratings = compiled(), some_ratings(40)
    training.fit(model, ratings, batch_size=10, epochs=1)
    state = TrainingState.of(model)
    first = training.fit(model, ratings, batch_size=10, epochs=2)
    trained = TrainingState.of(model)
    assert any(not np.array_equal(a, b) for a, b in zip(state.weights, trained.weights, strict=True))
    state.restore(model)
    assert training.fit(model, ratings, batch_size=10, epochs=2) == first
    again = TrainingState.of(model)
    for found, wanted in zip(again.weights + again.optimizer, trained.weights + trained.optimizer, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_kept_state_does_not_follow_the_model() -> None:
    model = compiled()
    state = TrainingState.of(model)
    accumulators = [array.copy() for array in state.optimizer]
    training.fit(model, some_ratings(10), epochs=1)
    for found, wanted in zip(state.weights, lively_weights().as_list(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(state.optimizer, accumulators, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("one_thread")
def test_movielens_with_the_tutorial_s_split_ends_at_the_published_test_rmse(movielens: Dataset) -> None:
    split = split_ratings(movielens)
    model = RankingModel(movielens.num_users + 1, movielens.num_movies + 1)
    model.load_initial_weights(initial_weights(movielens.num_users, movielens.num_movies, seed=0))
    training.compile_model(model)
    records = training.fit(model, split.train)
    assert len(records) == 5
    assert training.evaluate(model, split.test).rmse == pytest.approx(PUBLISHED_TEST_RMSE, abs=2e-4)
