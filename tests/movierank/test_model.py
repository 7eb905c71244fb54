from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from movierank.model import RankingModel
from movierank.oracle import Oracle
from movierank.training import compile_model
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 30, 40, 8
IDS = {"user_id": np.array([1, 30, 7, 7], np.int32), "movie_id": np.array([40, 1, 1, 25], np.int32)}


def lively_weights() -> Weights:
    """Weights with predictions far from zero and biases that are not zero, so that no layer can be left out."""
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=3)
    rng = np.random.default_rng(3)
    scale = {"user_embedding": 20, "candidate_embedding": 20}
    arrays = {name: value * np.float32(scale.get(name, 1)) for name, value in vars(drawn).items()}
    for name in ("bias1", "bias2", "bias3"):
        arrays[name] = rng.normal(0, 0.3, arrays[name].shape).astype(np.float32)
    return Weights(**arrays)


def model_with(weights: Weights) -> RankingModel:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.load_initial_weights(weights)
    return model


def predicted(model: keras.Model) -> np.ndarray:
    return np.asarray(model.predict(IDS, verbose=0))


@pytest.mark.parametrize("count", [7, np.int32(7), np.int64(7), np.array(7)])
def test_a_count_may_be_any_integer(count: Any) -> None:
    # The tutorial's `users_count + 1` is NumPy's int32, which Keras alone refuses.
    model = RankingModel(count, count, count)
    model.build({"user_id": (None,), "movie_id": (None,)})
    assert model.user_embedding.embeddings.shape == (7, 7)
    assert type(model.get_config()["num_users"]) is int


@pytest.mark.parametrize("count", [7.0, np.float32(7), "7", None, [7]])
@pytest.mark.parametrize("name", ["num_users", "num_candidates", "embedding_dimension"])
def test_a_count_that_is_no_integer_is_refused_by_name(name: str, count: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an integer; received .*{type(count).__name__}"):
        RankingModel(**{"num_users": 5, "num_candidates": 5, name: count})


@pytest.mark.parametrize("count", [0, -3, np.int64(0)])
@pytest.mark.parametrize("name", ["num_users", "num_candidates", "embedding_dimension"])
def test_a_count_below_one_is_refused_by_name(name: str, count: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1; received {count}"):
        RankingModel(**{"num_users": 5, "num_candidates": 5, name: count})


def test_build_makes_all_weights_in_the_order_of_weights() -> None:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.build({"user_id": (None,), "movie_id": (None,)})
    shapes = [array.shape for array in initial_weights(USERS, MOVIES, DIMENSION).as_list()]
    assert [tuple(variable.shape) for variable in model.weights] == shapes
    assert [tuple(variable.shape) for variable in model.trainable_variables] == shapes
    predicted(model)
    assert len(model.weights) == 8


def test_weights_come_back_as_they_were_set() -> None:
    weights = lively_weights()
    for found, wanted in zip(model_with(weights).get_weights(), weights.as_list(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_prediction_is_the_oracle_s_within_rounding() -> None:
    weights = lively_weights()
    wanted = Oracle(weights).predict(IDS["user_id"], IDS["movie_id"])
    assert np.ptp(wanted) > 0.1
    found = predicted(model_with(weights))
    assert found.shape == (4, 1)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=2e-6)


def test_weights_of_another_size_are_refused() -> None:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    with pytest.raises(ValueError, match="shape"):
        model.load_initial_weights(initial_weights(USERS + 1, MOVIES, DIMENSION))


def test_the_tutorial_s_own_way_builds_at_the_first_fit_and_warns_of_nothing() -> None:
    labels = np.array([0, 0.25, 0.5, 1], np.float32)
    model = RankingModel(USERS + 1, MOVIES + 1)
    model.compile(
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.RootMeanSquaredError()],
        optimizer=keras.optimizers.Adagrad(learning_rate=0.1),
    )
    history = model.fit(IDS, labels, batch_size=2, epochs=3, verbose=0).history
    assert len(model.weights) == 8
    assert history["root_mean_squared_error"][-1] < history["root_mean_squared_error"][0]


def test_building_compiling_training_and_saving_warn_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = RankingModel(np.int32(USERS + 1), np.int32(MOVIES + 1))
        model.build({"user_id": (None,), "movie_id": (None,)})
        compile_model(model)
        model.fit(IDS, np.ones(4, np.float32), verbose=0)
        model.save(tmp_path / "model.keras")
        keras.saving.load_model(tmp_path / "model.keras").evaluate(IDS, np.ones(4, np.float32), verbose=0)
    messages = [str(warning.message) for warning in caught]
    # Keras's Variable has an `__array__` that NumPy 2 finds old; nothing that a user of this model could mend.
    assert [message for message in messages if "__array__" not in message] == []


def test_a_saved_model_comes_back_with_the_same_predictions(tmp_path: Path) -> None:
    model = model_with(lively_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, RankingModel)
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(predicted(loaded), predicted(model))


def test_a_trained_model_goes_on_training_after_it_was_loaded(tmp_path: Path) -> None:
    labels = np.array([0, 0.25, 0.5, 1], np.float32)
    model = model_with(lively_weights())
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adagrad(learning_rate=0.1))
    model.fit(IDS, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.fit(IDS, labels, verbose=0, epochs=2, shuffle=False)
    np.testing.assert_array_equal(predicted(loaded), predicted(model))


def test_the_config_makes_the_same_model() -> None:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION, name="mine")
    again = RankingModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert (again.name, again.num_users, again.num_candidates) == ("mine", USERS + 1, MOVIES + 1)
