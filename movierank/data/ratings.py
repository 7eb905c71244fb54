"""Ratings as plain arrays, the input of every model, loop and oracle in this project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Float32Array = npt.NDArray[np.float32]

LOWEST_STARS = 1.0
STARS_PER_LABEL = 4.0


def stars_to_label(stars: npt.ArrayLike) -> Float32Array:
    """Map stars to the label (stars - 1) / 4 that the tutorial trains on, as float32 of the same shape."""
    return ((np.asarray(stars, np.float32) - np.float32(LOWEST_STARS)) / np.float32(STARS_PER_LABEL)).astype(np.float32)


def label_to_stars(label: npt.ArrayLike) -> Float32Array:
    """Map a label or prediction p back to 1 + 4p stars (the tutorial prints 5p, which is off by up to a star)."""
    return np.float32(LOWEST_STARS) + np.float32(STARS_PER_LABEL) * np.asarray(label, np.float32)


@dataclass(frozen=True)
class Ratings:
    """N ratings in a fixed order.

    Attributes:
        user_id: int32 [N], from 1 to the number of users.
        movie_id: int32 [N], from 1 up; gaps are allowed (MovieLens 20M and 25M have them).
        label: float32 [N], (stars - 1) / 4.
    """

    user_id: Int32Array
    movie_id: Int32Array
    label: Float32Array

    def __len__(self) -> int:
        """Return the number of ratings N."""
        return len(self.label)

    def take(self, index: npt.NDArray[np.integer] | slice) -> Ratings:
        """Return the ratings at `index` (integer array [M] or slice), in that order."""
        return Ratings(self.user_id[index], self.movie_id[index], self.label[index])

    @property
    def features(self) -> dict[str, Int32Array]:
        """The model's inputs under the tutorial's names."""
        return {"user_id": self.user_id, "movie_id": self.movie_id}


class TitleLoader(Protocol):
    """A function that reads titles when they are first needed; timing runs never need them."""

    def __call__(self) -> Mapping[int, str]:
        """Return the title of every movie by its id."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    Attributes:
        name: `100k`, `latest-small`, `1m`, `20m`, `25m` or `synthetic:UxMxR`.
        source: source of the ratings: `tfds`, `wheel`, `local` or `synthetic`.
        sha256: SHA-256 of the arrays' bytes and order; equal for equal ratings whatever the source.
        ratings: all ratings in the source's record order.
        num_users: highest user id.
        num_movies: highest movie id.
        tutorial_order: int32 [N], the tutorial's `tf.data` shuffle with seed 42 as indices into `ratings`;
            None where the tutorial's split is not defined (synthetic data).
        load_titles: function that returns titles by movie id.
    """

    name: str
    source: str
    sha256: str
    ratings: Ratings
    num_users: int
    num_movies: int
    tutorial_order: Int32Array | None
    load_titles: TitleLoader

    @cached_property
    def titles(self) -> Mapping[int, str]:
        """The title of every movie by its id."""
        return self.load_titles()
