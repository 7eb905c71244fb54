"""Whether two trainings rank each test user's items alike: Kendall's tau and the overlap of the ten best.

Dozens of pairs of trainings are compared at once, so all that one training alone decides is computed once: the sign
of every difference between two items of one user (int8, 400,000 for the 20,000 test ratings of MovieLens 100K) and
each user's ten best. A pair of trainings then costs one product and one sum.

Kendall's tau-b, which takes ties into account: Kendall, "The treatment of ties in ranking problems", Biometrika 33
(1945), p. 239-251.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TOP = 10
MOST_ITEMS = 400  # of one user that tau looks at; pairs grow with the square. No user of MovieLens 100K has more.


@dataclass(frozen=True, eq=False)
class Index:
    """Which predictions belong to one user: the same for all trainings with the same test part.

    Attributes:
        order: int64 [N], rows sorted by user, those of one user as they were.
        user: int64 [N], number of the user of each sorted row, from 0.
        place: int64 [N], how many rows of the same user come before each sorted row.
        first: int32 [P], sorted row of one item of each pair of items of one user, user by user.
        second: int32 [P], sorted row of the other.
        bounds: int64 [U], at which of the pairs each user with at least two items begins.
        long: bool [N], which sorted rows belong to a user with more than `TOP` items.
    """

    order: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    long: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, user_id: npt.NDArray[np.integer[Any]]) -> Index:
        """Build the index for the test part's user ids, integers [N]."""
        order = np.argsort(user_id, kind="stable")
        _, user, items = np.unique(user_id[order], return_inverse=True, return_counts=True)
        rows = np.arange(user.size)
        place = rows - (np.cumsum(items) - items)[user]
        # Each row is paired with the rows of its user that follow it.
        followers = np.maximum(np.minimum(items, MOST_ITEMS)[user] - 1 - place, 0)
        before = np.cumsum(followers) - followers
        first = np.repeat(rows, followers)
        second = np.arange(first.size) - before[first] + first + 1
        return cls(
            order=order,
            user=user,
            place=place,
            first=first.astype(np.int32),
            second=second.astype(np.int32),
            bounds=before[(place == 0) & (items[user] > 1)],
            long=items[user] > TOP,
        )


@dataclass(frozen=True, eq=False)
class Rankings:
    """How one training ranks the items of each user.

    Attributes:
        index: which predictions belong to one user.
        signs: int8 [P], 1 where the first item of a pair is ranked above the second, -1 below, 0 where they tie.
        untied: int64 [U], pairs without a tie of each user with at least two items.
        best: bool [N], which sorted rows are among the ten best of a user with more than ten items; of items that
            tie, the earlier rows.
        finite: whether all predictions are numbers.
    """

    index: Index
    signs: npt.NDArray[np.int8]
    untied: npt.NDArray[np.int64]
    best: npt.NDArray[np.bool_]
    finite: bool

    @classmethod
    def of(cls, predictions: npt.NDArray[np.floating[Any]], index: Index) -> Rankings:
        """Rank the predictions, floats [N], as given: float64 may separate what ties in float32.

        Raises:
            ValueError: the index is of another number of predictions.
        """
        if predictions.shape != index.order.shape:
            raise ValueError(f"an index of {index.order.size} predictions was given {predictions.size}")
        values = predictions[index.order]
        one, other = values[index.first], values[index.second]
        signs = (one > other).astype(np.int8) - (one < other).astype(np.int8)
        best = np.zeros(values.size, np.bool_)
        # Sorting by user first leaves each user's rows where they were, so places count from the best.
        best[np.lexsort((-values, index.user))] = index.place < TOP
        return cls(
            index=index,
            signs=signs,
            untied=_per_user(np.abs(signs), index),
            best=best & index.long,
            finite=bool(np.isfinite(values).all()),
        )


@dataclass(frozen=True)
class Disagreement:
    """How far two trainings' rankings lie apart; NaN where a prediction of either is not finite.

    Attributes:
        tau: 1 - the mean of Kendall's tau-b over users with at least two items: 0 for equal rankings, 1 for unrelated
            ones, 2 for reversed ones; None without such a user.
        top10: 1 - the mean over users with more than ten items of the share of the ten best that both trainings name;
            None without such a user.
        tau_users: users behind `tau`.
        top10_users: users behind `top10`.
    """

    tau: float | None
    top10: float | None
    tau_users: int
    top10_users: int


def disagreement(a: Rankings, b: Rankings) -> Disagreement:
    """Compare two trainings, user by user.

    A user whose items all tie in one training has no tau; it counts as 0, and as 1 where they all tie in both. Of a
    user with more than `MOST_ITEMS` items, tau looks at the first `MOST_ITEMS` in the order of the test part.

    Raises:
        ValueError: the two were not ranked with the same `Index`.
    """
    if a.index is not b.index:
        raise ValueError("rankings can be compared only where they share one Index")
    tau_users = a.untied.size
    # The ten best of every user are ten rows.
    top10_users = int(np.count_nonzero(a.best)) // TOP
    tau = top10 = None
    if tau_users:
        tau = 1 - float(np.mean(_tau_b(a, b))) if a.finite and b.finite else math.nan
    if top10_users:
        shared = int(np.count_nonzero(a.best & b.best))
        top10 = 1 - shared / (TOP * top10_users) if a.finite and b.finite else math.nan
    return Disagreement(tau=tau, top10=top10, tau_users=tau_users, top10_users=top10_users)


def _tau_b(a: Rankings, b: Rankings) -> npt.NDArray[np.float64]:
    agreeing = _per_user(a.signs * b.signs, a.index)
    possible = np.sqrt(a.untied.astype(np.float64) * b.untied)
    tau: npt.NDArray[np.float64] = ((a.untied == 0) & (b.untied == 0)).astype(np.float64)
    np.divide(agreeing, possible, out=tau, where=possible > 0)
    return tau


def _per_user(signs: npt.NDArray[np.int8], index: Index) -> npt.NDArray[np.int64]:
    if index.bounds.size == 0:
        return np.zeros(0, np.int64)
    return np.add.reduceat(signs, index.bounds, dtype=np.int64)
