"""Synthetic ratings of any size: popularity as skewed as in MovieLens, and a taste that a model can learn.

A rating is 3.5 stars + the user's bias + the movie's bias + the product of two rank-8 taste vectors + noise, rounded
to whole stars. The standard deviations below give MovieLens 100K's spread of about 1.1 stars, a third of it noise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from movierank.data.ratings import Float32Array, Int32Array, Ratings, stars_to_label
from movierank.errors import MovierankError

PREFIX = "synthetic:"
EXAMPLE = "synthetic:1000x500x20000"
SEED = 42
LARGEST = 2**31 - 1  # ids and permutations are int32
CHUNK = 1_000_000
RANK = 8
MEAN_STARS = 3.5
USER_SD = 0.45
MOVIE_SD = 0.55
TASTE_SD = 0.5
NOISE_SD = 0.65
# Zipf-Mandelbrot, weight (rank + shift)^-exponent: plain Zipf would give the top movie 8 % of all ratings. With
# MovieLens 100K's size the most, the 100th and the median rated movie get 553, 241 and 22 ratings; in it 583, 218, 27.
RANK_SHIFT = 0.1  # of the number of users or movies, but at most:
USER_SHIFT = 2_000.0
MOVIE_SHIFT = 170.0
USER_EXPONENT = 1.4
MOVIE_EXPONENT = 1.8

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True)
class Size:
    """The numbers of users, movies and ratings to make."""

    users: int
    movies: int
    ratings: int

    @property
    def name(self) -> str:
        """The dataset's name with all numbers written out."""
        return f"{PREFIX}{self.users}x{self.movies}x{self.ratings}"


def parse_size(name: str) -> Size:
    """Parse `synthetic:USERSxMOVIESxRATINGS`; a number may end in k (thousand) or M (million).

    Raises:
        MovierankError: the text is not three whole numbers from 1 up, or there are too few or too many ratings.
    """
    parts = name.removeprefix(PREFIX).lower().split("x")
    numbers = [re.fullmatch(r"([0-9]{1,12})([km]?)", part) for part in parts]
    if len(parts) != 3 or not all(numbers):
        raise MovierankError(f"{name!r} is not {PREFIX}USERSxMOVIESxRATINGS with whole numbers, such as {EXAMPLE}")
    size = Size(*(int(number[1]) * _UNITS[number[2]] for number in numbers if number))
    if min(size.users, size.movies, size.ratings) < 1:
        raise MovierankError(f"{name!r}: users, movies and ratings must be at least 1, such as {EXAMPLE}")
    if size.ratings < max(size.users, size.movies):
        raise MovierankError(f"{name!r}: ratings must be at least as many as users and as movies, such as {EXAMPLE}")
    if size.ratings > LARGEST:
        raise MovierankError(f"{name!r}: at most {LARGEST} ratings")
    return size


def make_ratings(size: Size, seed: int = SEED) -> Ratings:
    """Return synthetic ratings; the same size and seed give the same arrays (NumPy Philox).

    Every user and every movie has at least one rating; a user may rate a movie more than once.

    Args:
        size: numbers of users, movies and ratings.
        seed: seed of all random streams.

    Returns:
        Arrays of `size.ratings` ratings. They take 12 bytes a rating, and making them takes little more memory.
    """
    streams = [np.random.Generator(np.random.Philox(child)) for child in np.random.SeedSequence(seed).spawn(4)]
    user_id = _popular_ids(streams[0], size.users, size.ratings, USER_SHIFT, USER_EXPONENT)
    movie_id = _popular_ids(streams[1], size.movies, size.ratings, MOVIE_SHIFT, MOVIE_EXPONENT)
    return Ratings(user_id, movie_id, _labels(streams[2], streams[3], size, user_id, movie_id))


def make_titles(size: Size) -> dict[int, str]:
    """Return the titles: `Movie 17` for movie 17, and so on."""
    return {movie: f"Movie {movie}" for movie in range(1, size.movies + 1)}


def _popular_ids(
    stream: np.random.Generator, count: int, num_ratings: int, shift: float, exponent: float
) -> Int32Array:
    """Draw ids 1 to `count`, each at least once, by Zipf-Mandelbrot's law, ranks in random order."""
    by_rank = stream.permutation(np.arange(1, count + 1, dtype=np.int32))
    cumulative = np.cumsum((np.arange(1, count + 1) + min(RANK_SHIFT * count, shift)) ** -exponent)
    cumulative /= cumulative[-1]
    ids = np.empty(num_ratings, np.int32)
    ids[:count] = by_rank
    for start in range(count, num_ratings, CHUNK):
        part = ids[start : start + CHUNK]
        part[:] = by_rank[np.searchsorted(cumulative, stream.random(len(part)), side="right")]
    stream.shuffle(ids)
    return ids


def _labels(
    traits: np.random.Generator, noise: np.random.Generator, size: Size, user_id: Int32Array, movie_id: Int32Array
) -> Float32Array:
    def normal(shape: int | tuple[int, int], sd: float) -> Float32Array:
        return traits.standard_normal(shape, np.float32) * np.float32(sd)

    factor_sd = float(np.sqrt(TASTE_SD / np.sqrt(RANK)))  # the product of two such vectors has TASTE_SD
    user_bias, movie_bias = normal(size.users, USER_SD), normal(size.movies, MOVIE_SD)
    user_taste, movie_taste = normal((size.users, RANK), factor_sd), normal((size.movies, RANK), factor_sd)
    label = np.empty(size.ratings, np.float32)
    for start in range(0, size.ratings, CHUNK):
        user, movie = user_id[start : start + CHUNK] - 1, movie_id[start : start + CHUNK] - 1
        stars = np.einsum("ij,ij->i", user_taste[user], movie_taste[movie])
        stars += np.float32(MEAN_STARS) + user_bias[user] + movie_bias[movie]
        stars += noise.standard_normal(len(user), np.float32) * np.float32(NOISE_SD)
        label[start : start + CHUNK] = stars_to_label(np.clip(np.rint(stars), 1, 5))
    return label
