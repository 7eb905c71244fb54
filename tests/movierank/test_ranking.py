from __future__ import annotations

import numpy as np
import pytest

from movierank.data.ratings import Dataset, Ratings
from movierank.errors import MovierankError
from movierank.model import RankingModel
from movierank.oracle import Oracle
from movierank.ranking import rank_movies, score_movies
from movierank.weights import Weights, initial_weights

USERS, MOVIES, DIMENSION = 12, 300, 8
GAPS = (17, 18, 250)  # ids that no movie has, as in MovieLens 25M


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(5)
    movies = np.setdiff1d(np.arange(1, MOVIES + 1), GAPS)
    ratings = Ratings(
        rng.integers(1, USERS + 1, 500).astype(np.int32),
        rng.choice(movies, 500).astype(np.int32),
        (rng.integers(0, 5, 500) / 4).astype(np.float32),
    )
    titles = {int(movie): f"Film no. {movie}" for movie in reversed(movies)}
    return Dataset("handmade", "local", "0" * 64, ratings, USERS, MOVIES, None, lambda: titles)


@pytest.fixture(scope="module")
def weights() -> Weights:
    drawn = initial_weights(USERS, MOVIES, DIMENSION, seed=4)
    scale = {"user_embedding": 20, "candidate_embedding": 20}
    return Weights(**{name: value * np.float32(scale.get(name, 1)) for name, value in vars(drawn).items()})


def model_with(weights: Weights) -> RankingModel:
    model = RankingModel(USERS + 1, MOVIES + 1, DIMENSION)
    model.load_initial_weights(weights)
    return model


@pytest.fixture(scope="module")
def model(weights: Weights) -> RankingModel:
    return model_with(weights)


def naive(weights: Weights, user: int, movies: list[int]) -> list[tuple[int, float]]:
    """Score every movie with the oracle and sort."""
    predictions = Oracle(weights).predict(np.full(len(movies), user), np.array(movies))
    scored = [(movie, 1 + 4 * float(p)) for movie, p in zip(movies, predictions, strict=True)]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("user", [1, 7, USERS])
def test_the_whole_catalogue_is_ranked_as_by_scoring_and_sorting(
    model: RankingModel, dataset: Dataset, weights: Weights, user: int
) -> None:
    wanted = naive(weights, user, sorted(dataset.titles))
    ranking = rank_movies(model, dataset, user)
    assert [movie.movie_id for movie in ranking] == [movie for movie, _ in wanted]
    assert [movie.stars for movie in ranking] == pytest.approx([stars for _, stars in wanted], abs=1e-5)
    assert all(movie.title == f"Film no. {movie.movie_id}" for movie in ranking)
    assert not {movie.movie_id for movie in ranking} & set(GAPS)


def test_the_top_is_the_beginning_of_the_whole(model: RankingModel, dataset: Dataset) -> None:
    whole = rank_movies(model, dataset, 3)
    assert rank_movies(model, dataset, 3, top=10) == whole[:10]
    assert rank_movies(model, dataset, 3, top=10_000) == whole


def test_given_movies_are_ranked_once_each(model: RankingModel, dataset: Dataset, weights: Weights) -> None:
    ranking = rank_movies(model, dataset, 2, movie_ids=[204, 141, 131, 204, 141])
    assert [movie.movie_id for movie in ranking] == [movie for movie, _ in naive(weights, 2, [204, 141, 131])]


def test_equal_scores_are_ranked_by_movie_id(dataset: Dataset, weights: Weights) -> None:
    flat = Weights(**{**vars(weights), "kernel3": np.zeros((64, 1), np.float32), "bias3": np.full(1, 0.5, np.float32)})
    ranking = rank_movies(model_with(flat), dataset, 1, movie_ids=[90, 3, 300, 41])
    assert [(movie.movie_id, movie.stars) for movie in ranking] == [(3, 3.0), (41, 3.0), (90, 3.0), (300, 3.0)]


def test_what_the_user_has_rated_is_left_out_on_request(model: RankingModel, dataset: Dataset) -> None:
    rated = set(dataset.ratings.movie_id[dataset.ratings.user_id == 5].tolist())
    assert len(rated) > 10
    whole = rank_movies(model, dataset, 5)
    assert {movie.movie_id for movie in whole} >= rated
    ranking, wanted = rank_movies(model, dataset, 5, exclude_rated=True), [m for m in whole if m.movie_id not in rated]
    assert [movie.movie_id for movie in ranking] == [movie.movie_id for movie in wanted]
    # In a batch of another size a prediction may be rounded otherwise.
    assert [movie.stars for movie in ranking] == pytest.approx([movie.stars for movie in wanted], abs=1e-5)
    assert rank_movies(model, dataset, 5, movie_ids=sorted(rated), exclude_rated=True) == []


def test_stars_are_one_plus_four_predictions(model: RankingModel, weights: Weights) -> None:
    movies = np.array([1, 2, 299], np.int32)
    stars = score_movies(model, 4, movies)
    assert stars.dtype == np.float32
    wanted = 1 + 4 * Oracle(weights).predict(np.full(3, 4), movies)
    np.testing.assert_allclose(stars, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("user", [0, -1, USERS + 1, 2**40])
def test_an_unknown_user_is_refused(model: RankingModel, dataset: Dataset, user: int) -> None:
    with pytest.raises(MovierankError, match=f"user {user} is not in handmade: users go from 1 to {USERS}"):
        rank_movies(model, dataset, user)


def test_unknown_movies_are_refused_by_name(model: RankingModel, dataset: Dataset) -> None:
    with pytest.raises(MovierankError, match=r"^no movie 0, 17, 9999999999 in handmade$"):
        rank_movies(model, dataset, 1, movie_ids=[5, 0, 17, 9_999_999_999])


@pytest.mark.parametrize("top", [0, -5])
def test_a_top_below_one_is_refused(model: RankingModel, dataset: Dataset, top: int) -> None:
    with pytest.raises(MovierankError, match=f"top must be at least 1; received {top}"):
        rank_movies(model, dataset, 1, top=top)


@pytest.mark.parametrize("rows", [(USERS, MOVIES + 1), (USERS + 1, MOVIES + 2)])
def test_a_model_of_another_dataset_is_refused(dataset: Dataset, rows: tuple[int, int]) -> None:
    with pytest.raises(MovierankError, match="name the dataset it was trained on with --dataset"):
        rank_movies(RankingModel(*rows), dataset, 1)
