"""Rules for the arrays of every dataset, whatever its source."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from movierank.data.ratings import Int32Array, Ratings, stars_to_label
from movierank.errors import MovierankError

LOWEST_LABEL = float(stars_to_label(0.5))  # MovieLens's half stars start at 0.5, one star has label 0
HIGHEST_LABEL = 1.0


def check_ratings(ratings: Ratings) -> None:
    """Raise MovierankError unless ids are int32 from 1 up and labels float32 from -0.125 to 1, N of each, N >= 1."""
    if len(ratings) == 0:
        raise MovierankError("there are no ratings")
    for name, ids in ratings.features.items():
        if ids.dtype != np.int32 or ids.shape != ratings.label.shape:
            raise MovierankError(f"{name} is {ids.dtype} {ids.shape} instead of int32 {ratings.label.shape}")
        if ids.min() < 1:
            raise MovierankError(f"{name} {ids.min()} is below 1")
    if ratings.label.dtype != np.float32 or ratings.label.ndim != 1:
        raise MovierankError(f"label is {ratings.label.dtype} {ratings.label.shape} instead of one-dimensional float32")
    lowest, highest = ratings.label.min(), ratings.label.max()
    if not (lowest >= LOWEST_LABEL and highest <= HIGHEST_LABEL):
        raise MovierankError(f"labels range from {lowest} to {highest}, which is outside 0.5 to 5 stars")


def check_order(order: Int32Array, num_ratings: int) -> None:
    """Raise MovierankError unless `order` holds every index from 0 to `num_ratings` - 1 once, as int32."""
    if order.dtype != np.int32 or order.shape != (num_ratings,):
        raise MovierankError(f"the tutorial's order is {order.dtype} {order.shape} instead of int32 ({num_ratings},)")
    if not np.array_equal(np.sort(order), np.arange(num_ratings, dtype=np.int32)):
        raise MovierankError("the tutorial's order is not a permutation of the ratings")


def check_titles(titles: Mapping[int, str], ratings: Ratings) -> None:
    """Raise MovierankError unless title ids are from 1 up and every rated movie has a title."""
    if titles and min(titles) < 1:
        raise MovierankError(f"a title belongs to movie id {min(titles)}, which is below 1")
    rated = np.unique(ratings.movie_id)
    untitled = rated[~np.isin(rated, np.fromiter(titles, np.int64, len(titles)))]
    if len(untitled):
        raise MovierankError(f"{len(untitled)} rated movies have no title, the first is movie id {untitled[0]}")
