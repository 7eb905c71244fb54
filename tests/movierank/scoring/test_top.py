from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import pytest

from movierank import training
from movierank.data.ratings import Dataset
from movierank.data.splits import split_ratings
from movierank.model import RankingModel
from movierank.oracle import Oracle
from movierank.scoring.rounding import rounding_bound
from movierank.scoring.top import Block, Top, top_movies
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 11, 75, 8
SMALL = Block(users=4, movies=16)  # neither divides the table


@pytest.fixture(scope="module")
def weights() -> Weights:
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=4)
    rng = np.random.default_rng(3)
    changed = {
        "user_embedding": drawn.user_embedding * np.float32(20),
        "candidate_embedding": drawn.candidate_embedding * np.float32(20),
        "bias1": rng.normal(0, 0.1, 256).astype(np.float32),
        "bias2": rng.normal(0, 0.1, 64).astype(np.float32),
        "bias3": np.full(1, -0.3, np.float32),
    }
    return Weights(**{**vars(drawn), **changed})


def model_with(weights: Weights) -> RankingModel:
    model = RankingModel(len(weights.user_embedding), len(weights.candidate_embedding), weights.user_embedding.shape[1])
    model.load_initial_weights(weights)
    return model


@pytest.fixture(scope="module")
def model(weights: Weights) -> RankingModel:
    return model_with(weights)


def pairs(users: npt.NDArray, movies: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
    return np.repeat(users, len(movies)).astype(np.int32), np.tile(movies, len(users)).astype(np.int32)


def check_against_predict(model: RankingModel, weights: Weights, top: Top, users: npt.NDArray) -> None:
    """Every prediction is `predict`'s within rounding, and no movie left out is surely better than one taken."""
    movies = np.arange(1, model.num_candidates)
    user_id, movie_id = pairs(users, movies)
    shape = (len(users), len(movies))
    predicted = training.predict(model, {"user_id": user_id, "movie_id": movie_id}, batch_size=65_536)
    # Both ways of scoring lie within the bound of the exact prediction.
    bound = 2 * rounding_bound(weights, user_id, movie_id).reshape(shape)
    predicted = predicted.reshape(shape).astype(np.float64)
    rows = np.arange(len(users))[:, None]
    places = top.ids - 1
    assert top.ids.dtype == np.int32
    assert top.predictions.dtype == np.float32
    assert (np.abs(top.predictions - predicted[rows, places]) <= bound[rows, places]).all()
    assert (np.diff(top.predictions, axis=1) <= 0).all()
    left_out = predicted - bound
    left_out[rows, places] = -np.inf
    assert (left_out <= (predicted + bound)[rows, places].min(axis=1, keepdims=True)).all()
    assert all(len(set(row)) == len(row) for row in top.ids.tolist())


def sorted_exactly(scores: npt.NDArray, k: int) -> npt.NDArray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("block", [SMALL, Block(users=1, movies=75), Block(users=100, movies=1000), None])
def test_the_best_are_those_of_predicting_all_pairs(model: RankingModel, weights: Weights, block: Block | None) -> None:
    users = np.array([11, 1, 5, 5, 2, 3, 8, 9, 4])
    top = top_movies(model, users, block=block)
    check_against_predict(model, weights, top, users)
    user_id, movie_id = pairs(users, np.arange(1, MOVIES + 1))
    exact = Oracle(weights).predict(user_id, movie_id).reshape(len(users), MOVIES)
    np.testing.assert_array_equal(top.ids, 1 + sorted_exactly(exact, 10))  # no two lie as near as rounding here
    assert np.ptp(exact) > 0.5


def test_on_movielens_the_best_are_those_of_predict(movielens: Dataset) -> None:
    model = RankingModel(movielens.num_users + 1, movielens.num_movies + 1)
    model.load_initial_weights(initial_weights(movielens.num_users, movielens.num_movies))
    training.compile_model(model)
    training.fit(model, split_ratings(movielens, "tutorial").train, epochs=1)
    users = np.arange(1, movielens.num_users + 1)
    top = top_movies(model, users)
    assert top.ids.shape == (943, 10)
    some = np.arange(0, len(users), 16)  # predicting all pairs takes seconds
    weights = Weights(*model.get_weights())
    check_against_predict(model, weights, Top(top.ids[some], top.predictions[some]), users[some])


def test_equal_predictions_come_in_the_order_of_the_candidates(weights: Weights) -> None:
    flat = Weights(**{**vars(weights), "kernel3": np.zeros((64, 1), np.float32)})
    movies = np.random.default_rng(0).permutation(np.arange(1, MOVIES + 1))
    top = top_movies(model_with(flat), np.array([1, 2, 3, 4, 5]), 20, movies=movies, block=SMALL)
    np.testing.assert_array_equal(top.ids, np.tile(movies[:20], (5, 1)))
    np.testing.assert_array_equal(top.predictions, np.float32(-0.3))


def test_predictions_of_both_signs_and_zero_are_in_order(weights: Weights) -> None:
    # One hidden unit passes the movie's first number through, another its negative.
    chosen = np.array([0, 3, -2, 0, 1.5, -1e-30, 2e-38, -7, 1e30, 0], np.float32)
    movies = np.zeros((len(chosen) + 1, 1), np.float32)
    movies[1:, 0] = chosen
    kernel1, kernel2 = np.zeros((2, 256), np.float32), np.zeros((256, 64), np.float32)
    kernel1[1, :2] = kernel2[[0, 1], [0, 1]] = 1
    kernel1[1, 1] = -1
    kernel3 = np.zeros((64, 1), np.float32)
    kernel3[:2, 0] = 1, -1
    passing = Weights(
        np.zeros((2, 1), np.float32), movies, kernel1, np.zeros(256, np.float32), kernel2, np.zeros(64, np.float32),
        kernel3, np.zeros(1, np.float32),
    )  # fmt: skip
    top = top_movies(model_with(passing), np.array([1]), 10, block=Block(1, 3))
    np.testing.assert_array_equal(top.predictions[0], np.sort(chosen)[::-1])
    np.testing.assert_array_equal(top.ids[0], 1 + np.argsort(-chosen, kind="stable"))


def test_excluded_pairs_are_left_out(model: RankingModel) -> None:
    rng = np.random.default_rng(2)
    users = np.array([7, 2, 2, 11, 5])
    taken = (rng.integers(1, USERS + 1, 400), rng.integers(0, MOVIES + 50, 400))  # also movies that are no candidates
    whole = top_movies(model, users, MOVIES)
    top = top_movies(model, users, 10, exclude=taken, block=SMALL)
    assert (top.ids != whole.ids[:, :10]).any(axis=1).sum() >= 3
    for row, user in enumerate(users):
        rated = set(taken[1][taken[0] == user].tolist())
        assert top.ids[row].tolist() == [movie for movie in whole.ids[row].tolist() if movie not in rated][:10]


def test_candidates_may_be_few(model: RankingModel) -> None:
    movies = np.array([40, 3, 75])
    top = top_movies(model, np.array([1, 2]), 5, movies=movies, exclude=(np.array([2]), np.array([3])))
    assert {*top.ids[0, :3].tolist()} == {40, 3, 75}
    assert {*top.ids[1, :2].tolist()} == {40, 75}
    assert top.ids[0, 3:].tolist() == [0, 0]
    assert top.ids[1, 2:].tolist() == [0, 0, 0]
    assert np.isneginf(top.predictions[1, 2:]).all()


def test_nobody_and_nothing_are_answered_with_nothing(model: RankingModel) -> None:
    assert top_movies(model, np.array([], np.int32)).ids.shape == (0, 10)
    nothing = top_movies(model, np.array([1, 2]), 3, movies=np.array([], np.int32))
    assert nothing.ids.tolist() == [[0, 0, 0]] * 2
    assert np.isneginf(nothing.predictions).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": np.array([1, 0])}, "no user 0: users go from 1 to 11"),
        ({"users": np.array([12])}, "no user 12"),
        ({"users": np.array([1.5])}, "one row of integers; received float64"),
        ({"users": np.array([1]), "movies": np.array([76])}, "no movie 76: movies go from 1 to 75"),
        ({"users": np.array([1]), "movies": np.array([5, 4, 5])}, "an id more than once"),
        ({"users": np.array([1]), "k": 0}, "k must be at least 1; received 0"),
    ],
)
def test_what_cannot_be_answered_is_refused(model: RankingModel, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        top_movies(model, **arguments)


def test_a_model_that_is_not_ready_is_refused() -> None:
    with pytest.raises(ValueError, match="a RankingModel that is built"):
        top_movies(RankingModel(3, 3), np.array([1]))
    half = RankingModel(3, 3, dtype="bfloat16")
    half.build({"user_id": (None,), "movie_id": (None,)})
    with pytest.raises(ValueError, match="computes in float32, and the model in bfloat16"):
        top_movies(half, np.array([1]))
    keras.backend.clear_session()
