from __future__ import annotations

import numpy as np
import pytest

from movierank.data.checks import check_order, check_ratings, check_titles
from movierank.data.ratings import Ratings
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free


def ratings_of(users: list[int], movies: list[int], labels: list[float]) -> Ratings:
    return Ratings(np.array(users, np.int32), np.array(movies, np.int32), np.array(labels, np.float32))


@pytest.mark.parametrize(
    ("ratings", "problem"),
    [
        (ratings_of([], [], []), "there are no ratings"),
        (ratings_of([0], [1], [0.5]), "user_id 0 is below 1"),
        (ratings_of([1], [-3], [0.5]), "movie_id -3 is below 1"),
        (ratings_of([1], [1], [1.25]), "outside 0.5 to 5 stars"),
        (ratings_of([1], [1], [-0.25]), "outside 0.5 to 5 stars"),
        (ratings_of([1, 1], [1, 1], [0.5, float("nan")]), "outside 0.5 to 5 stars"),
        (ratings_of([1, 2], [1], [0.5]), "user_id is int32"),
        (Ratings(np.array([1]), np.array([1]), np.array([0.5], np.float32)), "user_id is int64"),
        (Ratings(np.array([1], np.int32), np.array([1], np.int32), np.array([0.5])), "label is float64"),
    ],
)
def test_unusable_arrays_are_refused(ratings: Ratings, problem: str) -> None:
    with pytest.raises(MovierankError, match=problem):
        check_ratings(ratings)


def test_half_a_star_and_five_stars_are_accepted() -> None:
    check_ratings(ratings_of([1, 2], [1, 1], [-0.125, 1.0]))


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1]])
def test_an_order_that_is_no_permutation_is_refused(order: list[int]) -> None:
    with pytest.raises(MovierankError, match="order"):
        check_order(np.array(order, np.int32), 3)


def test_a_rated_movie_without_a_title_is_named() -> None:
    with pytest.raises(MovierankError, match="1 rated movies have no title, the first is movie id 7"):
        check_titles({1: "a", 2: "b"}, ratings_of([1, 1], [7, 1], [0.5, 0.5]))
