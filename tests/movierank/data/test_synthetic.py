from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierank.data.ratings import Dataset, label_to_stars
from movierank.data.synthetic import Size, make_ratings, make_titles, parse_size
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free

MIDDLING = Size(users=943, movies=1682, ratings=100_000)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200))
def test_every_user_and_movie_is_rated_and_no_other(users: int, movies: int, extra: int) -> None:
    ratings = make_ratings(Size(users, movies, max(users, movies) + extra))
    assert np.unique(ratings.user_id).tolist() == list(range(1, users + 1))
    assert np.unique(ratings.movie_id).tolist() == list(range(1, movies + 1))
    assert set(label_to_stars(ratings.label)) <= {1, 2, 3, 4, 5}


def test_the_same_size_gives_the_same_ratings_and_a_seed_changes_them() -> None:
    first, again, other = make_ratings(MIDDLING), make_ratings(MIDDLING), make_ratings(MIDDLING, seed=7)
    np.testing.assert_array_equal(first.label, again.label)
    np.testing.assert_array_equal(first.user_id, again.user_id)
    assert not np.array_equal(first.user_id, other.user_id)


def test_popularity_is_as_skewed_as_in_movielens_100k(movielens: Dataset) -> None:
    def shares(movie_id: npt.NDArray[np.int32]) -> list[float]:
        counts = np.sort(np.bincount(movie_id)[1:])[::-1]
        return [counts[:168].sum() / counts.sum(), counts[841:].sum() / counts.sum()]

    # Even popularity would give shares of 0.1 and 0.5, plain Zipf 0.71 and 0.09.
    made_up, real = shares(make_ratings(MIDDLING).movie_id), shares(movielens.ratings.movie_id)
    np.testing.assert_allclose(made_up, real, atol=0.08)


def test_the_first_ratings_are_like_the_others() -> None:
    ratings = make_ratings(MIDDLING)
    first, last = (len(np.unique(ratings.movie_id[part])) for part in (slice(0, 1682), slice(-1682, None)))
    assert abs(first - last) < 0.1 * last


def test_a_bias_model_learns_what_the_mean_cannot() -> None:
    ratings = make_ratings(MIDDLING)
    stars, train = label_to_stars(ratings.label).astype(float), slice(0, 80_000)
    residual = stars - stars[train].mean()
    bias = shrunken_means(residual[train], ratings.movie_id[train], MIDDLING.movies)[ratings.movie_id]
    bias += shrunken_means((residual - bias)[train], ratings.user_id[train], MIDDLING.users)[ratings.user_id]

    def rmse(error: npt.NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean(error[80_000:] ** 2)))

    assert rmse(residual - bias) < 0.92 * rmse(residual)


def shrunken_means(values: npt.NDArray[np.float64], ids: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.float64]:
    sums, counts = np.bincount(ids, values, count + 1), np.bincount(ids, minlength=count + 1)
    return np.asarray(sums / (counts + 3))


def test_sizes_may_use_thousands_and_millions() -> None:
    assert parse_size("synthetic:201kx293Kx33M") == Size(201_000, 293_000, 33_000_000)
    assert parse_size("synthetic:1kx500x20k").name == "synthetic:1000x500x20000"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("synthetic:", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:10x10", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:10x10x100x5", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:-1x10x100", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:1.5x10x100", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:manyx10x100", "is not synthetic:USERSxMOVIESxRATINGS"),
        ("synthetic:0x10x100", "must be at least 1"),
        ("synthetic:10x10x0", "must be at least 1"),
        ("synthetic:10x101x100", "at least as many as users and as movies"),
        ("synthetic:10x10x9000M", "at most 2147483647 ratings"),
    ],
)
def test_nonsense_sizes_are_refused(name: str, problem: str) -> None:
    with pytest.raises(MovierankError, match=problem):
        parse_size(name)


def test_titles_name_every_movie() -> None:
    assert make_titles(Size(1, 3, 3)) == {1: "Movie 1", 2: "Movie 2", 3: "Movie 3"}
