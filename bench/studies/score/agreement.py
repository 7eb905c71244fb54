"""Are the best movies that a backend found the best ones? Judged by the float64 oracle on all pairs of some users."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.studies.score.records import EXACT, Agreement
from movierank.oracle import Oracle
from movierank.scoring.rounding import PAIRS_AT_ONCE, rounding_bound
from movierank.weights import Weights

CHECKED_PAIRS = 400_000  # the oracle and the bounds of so many take some two seconds

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """The best movies that one worker found, for users 1 to U, best first.

    Attributes:
        ids: int [U, k].
        predictions: float [U, k].
    """

    ids: npt.NDArray[np.integer]
    predictions: npt.NDArray[np.floating]


def checked_users(users: int, num_movies: int) -> int:
    """Return for how many of `users` all pairs are checked."""
    return max(1, min(users, CHECKED_PAIRS // num_movies))


def judge(answers: Mapping[str, Answer], weights: Weights) -> list[Agreement]:
    """Return how each answer agrees with the exact one, and each two with each other.

    A movie is surely missed where its exact prediction is above that of the last movie that was taken by more than
    rounding can explain of both.

    Args:
        answers: by backend/device.
        weights: that were scored.
    """
    if not answers:
        return []
    num_movies = len(weights.candidate_embedding) - 1
    users = checked_users(min(len(answer.ids) for answer in answers.values()), num_movies)
    answers = {cell: Answer(answer.ids[:users], answer.predictions[:users]) for cell, answer in answers.items()}
    exact, bound = _exact(weights, users)
    found = [_beside_exact(cell, answer, exact, bound) for cell, answer in answers.items()]
    return found + [_beside_other(a, b, answers, bound) for a, b in itertools.combinations(answers, 2)]


def _exact(weights: Weights, users: int) -> tuple[FloatArray, FloatArray]:
    """Return exact predictions and their bounds, [users, movies]."""
    num_movies = len(weights.candidate_embedding) - 1
    oracle = Oracle(weights)
    pairs = np.arange(users * num_movies)
    user_id, movie_id = 1 + pairs // num_movies, 1 + pairs % num_movies
    parts = [slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(pairs), PAIRS_AT_ONCE)]
    exact = np.concatenate([oracle.predict(user_id[part], movie_id[part]) for part in parts])
    bound = rounding_bound(weights, user_id, movie_id)
    return exact.reshape(users, num_movies).astype(np.float64), bound.reshape(users, num_movies)


def _beside_exact(cell: str, answer: Answer, exact: FloatArray, bound: FloatArray) -> Agreement:
    taken = answer.ids > 0
    rows = np.nonzero(taken)[0]
    places = answer.ids[taken] - 1
    difference = np.abs(answer.predictions[taken] - exact[rows, places])
    share = float(np.max(difference / bound[rows, places]))
    highest = (exact + bound)[np.arange(len(exact))[:, None], np.maximum(answer.ids - 1, 0)]
    last = np.min(np.where(taken, highest, np.inf), axis=1)
    missed = exact - bound
    missed[rows, places] = -np.inf
    surely_missed = int(np.sum(missed > last[:, None]))
    # A list that is too short or names a movie twice misses one, even where its predictions are right.
    wanted = min(answer.ids.shape[1], exact.shape[1])
    surely_missed += sum(wanted - len(set(row[row > 0].tolist())) for row in answer.ids)
    order = 1 + np.argsort(-exact, axis=1, kind="stable")[:, :wanted]
    return Agreement(
        a=cell,
        b=EXACT,
        users=len(exact),
        largest=float(difference.max()),
        share_of_bound=share,
        same_lists=float(np.mean((answer.ids[:, :wanted] == order).all(axis=1))),
        surely_missed=surely_missed,
        verdict="within" if share <= 1 and surely_missed == 0 else "outside",
    )


def _beside_other(a: str, b: str, answers: Mapping[str, Answer], bound: FloatArray) -> Agreement:
    """Compare two answers without the exact one: their predictions, and the last one that either has taken."""
    scores = [_as_rows(answers[cell], bound.shape) for cell in (a, b)]
    both = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
    difference = np.abs(scores[0] - scores[1])[both]
    surely_missed = 0
    for mine, other in (scores, scores[::-1]):
        last = np.nanmin(mine, axis=1, keepdims=True)
        surely_missed += int(np.sum(np.isnan(mine) & (other - 2 * bound > last)))
    share = float(np.max(difference / (2 * bound[both]), initial=0.0))
    return Agreement(
        a=a,
        b=b,
        users=len(bound),
        largest=float(np.max(difference, initial=0.0)),
        share_of_bound=share,
        same_lists=float(np.mean((answers[a].ids == answers[b].ids).all(axis=1))),
        surely_missed=surely_missed,
        verdict="within" if share <= 1 and surely_missed == 0 else "outside",
    )


def _as_rows(answer: Answer, shape: tuple[int, ...]) -> FloatArray:
    scores = np.full(shape, np.nan)
    taken = answer.ids > 0
    scores[np.nonzero(taken)[0], answer.ids[taken] - 1] = answer.predictions[taken]
    return scores
