"""The k best movies of each user, without a row of predictions for every pair.

With u and m the embedding rows of a user and a movie, the first layer is a sum of two parts,

    [u, m] W1 + b1 = (u W1[:d] + b1) + m W1[d:]

one of which is computed once a user and the other once a movie. The rest of a pair is an addition, relu, and the
layers of 256 x 64 and 64 x 1. Pairs are scored in blocks of some users and some movies, and the best so far of each
user are kept on the device. No array of the size users x movies ever exists.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import numpy.typing as npt

from movierank.data.ratings import Float32Array
from movierank.model import RankingModel

Ids = npt.NDArray[np.integer[Any]]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


class Top(NamedTuple):
    """The best movies of each user, best first; equal predictions in the order of the candidates.

    Attributes:
        ids: int32 [users, k]; 0, which is not a movie, where a user has fewer than k candidates.
        predictions: float32 [users, k], in label units; minus infinity where a user has fewer than k candidates.
    """

    ids: Int32Array
    predictions: Float32Array


@dataclass(frozen=True)
class Block:
    """The number of pairs that are scored at once.

    Attributes:
        users: users in a block.
        movies: movies in a block.
    """

    users: int
    movies: int


CPU_BLOCK = Block(users=16, movies=256)  # the best on all backends of the sizes tried on two cores
GPU_BLOCK = Block(users=64, movies=4096)  # 256 MiB: enough to occupy the device, little of its memory


class Scorer(Protocol):
    """A model's weights and the movies' part of the first layer, on the device."""

    def top(self, users: Int32Array, allowed: BoolArray) -> tuple[Any, Any]:
        """Return places among the movies, int [B, k], and predictions, float32 [B, k], as arrays of the device.

        Of equal predictions the first place comes first.

        Args:
            users: ids, [B].
            allowed: bool [B, movies], or [1, movies] where it is the same for all; where it is False the prediction is
                minus infinity.
        """


def top_movies(
    model: RankingModel,
    users: Ids,
    k: int = 10,
    *,
    movies: Ids | None = None,
    exclude: tuple[Ids, Ids] | None = None,
    block: Block | None = None,
) -> Top:
    """Score every movie for every user and return the k best of each.

    Predictions are those of `model.predict` within what the order of float32 additions explains
    (`movierank.scoring.rounding`). The function takes one KiB of the device's memory a movie, and a block.

    Args:
        model: built model in float32.
        users: ids from 1 to `model.num_users - 1`, [U].
        k: number of movies to return for each user.
        movies: distinct candidates; None for all ids from 1 to `model.num_candidates - 1`.
        exclude: user ids and movie ids, [E] each, of pairs to leave out, such as those already rated.
        block: pairs to score at once; None for a block that suits the device.

    Raises:
        ValueError: the model is not built or not in float32, k is below 1, or an id is out of range or repeated.
    """
    _check_model(model)
    if k < 1:
        raise ValueError(f"k must be at least 1; received {k}")
    users = _checked("user", users, model.num_users)
    movies = _checked("movie", np.arange(1, model.num_candidates) if movies is None else movies, model.num_candidates)
    if len(np.unique(movies)) < len(movies):
        raise ValueError("movies holds an id more than once")
    if not len(users) or not len(movies):
        return Top(np.zeros((len(users), k), np.int32), np.full((len(users), k), -np.inf, np.float32))
    scoring = scoring_of(keras.backend.backend())
    block = block or (GPU_BLOCK if scoring.on_gpu(model) else CPU_BLOCK)
    block = Block(min(block.users, len(users)), min(block.movies, len(movies)))
    padded = np.pad(movies, (0, -len(movies) % block.movies))
    scorer: Scorer = scoring.start(model, padded, block.movies, k)
    answers = [scorer.top(*part) for part in _parts(users, movies, padded != 0, exclude, block.users)]
    places, predictions = (
        np.concatenate([keras.ops.convert_to_numpy(answer[side]) for answer in answers])[: len(users)]
        for side in (0, 1)
    )
    return Top(np.where(np.isneginf(predictions), 0, padded[places]).astype(np.int32), predictions)


def scoring_of(backend: str) -> ModuleType:
    """Import and return the scoring module of a backend.

    It has `start(model, movies, block, k)`, which returns a `Scorer` for `movies`, int32 [M], where M is a multiple of
    `block`; `on_gpu(model)`; and `compile_mode()`, which returns the compiler: `xla` or `eager`.
    """
    return importlib.import_module(f"movierank.scoring.{backend}_scorer")


def _parts(
    users: Int32Array, movies: Int32Array, real: BoolArray, exclude: tuple[Ids, Ids] | None, size: int
) -> Iterator[tuple[Int32Array, BoolArray]]:
    """Yield users in blocks of equal size, the last one padded, with the movies that each of them is allowed."""
    users = np.pad(users, (0, -len(users) % size), mode="edge")
    if exclude is None:
        for start in range(0, len(users), size):
            yield users[start : start + size], real[None]
        return
    order = np.argsort(exclude[0], kind="stable")
    by_user, excluded = np.asarray(exclude[0])[order], np.asarray(exclude[1])[order]
    in_order = np.argsort(movies)
    for start in range(0, len(users), size):
        part = users[start : start + size]
        allowed = np.repeat(real[None], size, axis=0)
        for row, user in enumerate(part):
            first, last = np.searchsorted(by_user, [user, user + 1])
            found = np.searchsorted(movies, excluded[first:last], sorter=in_order)
            found, wanted = found[found < len(movies)], excluded[first:last][found < len(movies)]
            places = in_order[found]
            allowed[row, places[movies[places] == wanted]] = False
        yield part, allowed


def _check_model(model: RankingModel) -> None:
    if not isinstance(model, RankingModel) or not model.built:
        raise ValueError("top_movies needs a RankingModel that is built: train it, load it or give it weights first")
    if model.dtype_policy.compute_dtype != "float32" or model.variable_dtype != "float32":
        raise ValueError(f"top_movies computes in float32, and the model in {model.dtype_policy.name}")


def _checked(what: str, ids: Ids, rows: int) -> Int32Array:
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(f"{what} ids must be one row of integers; received {ids.dtype} of shape {ids.shape}")
    wrong = ids[(ids < 1) | (ids >= rows)]
    if len(wrong):
        raise ValueError(f"no {what} {wrong[0]}: {what}s go from 1 to {rows - 1}")
    return ids.astype(np.int32)
