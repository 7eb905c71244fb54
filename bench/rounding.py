"""Changes that leave the model's mathematics as it is and its rounding not: what the rounding envelope is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from movierank.oracle import Oracle
from movierank.ratings import Ratings
from movierank.weights import Weights

Flip = tuple[str, int, float]  # bias array, its unit, and the value to add

FLOAT32_EPS = float(np.finfo(np.float32).eps)


def permute_units(weights: Weights, rng: np.random.Generator) -> tuple[Weights, dict[str, npt.NDArray[np.intp]]]:
    """Permutes embedding dimensions and hidden units together with their weights.

    Returns the permuted weights, which define the same function, and for `bias1` and `bias2` where each
    unit went.
    """
    dimension = weights.user_embedding.shape[1]
    d = rng.permutation(dimension)
    first, second = rng.permutation(len(weights.bias1)), rng.permutation(len(weights.bias2))
    permuted = Weights(
        user_embedding=weights.user_embedding[:, d],
        candidate_embedding=weights.candidate_embedding[:, d],
        kernel1=weights.kernel1[np.concatenate([d, dimension + d])][:, first],
        bias1=weights.bias1[first],
        kernel2=weights.kernel2[first][:, second],
        bias2=weights.bias2[second],
        kernel3=weights.kernel3[second],
        bias3=weights.bias3,
    )
    return permuted, {"bias1": np.argsort(first), "bias2": np.argsort(second)}


def permute_in_batches(ratings: Ratings, batch_size: int, rng: np.random.Generator) -> Ratings:
    """Returns the same batches in the same order, each with its examples in another order."""
    starts = range(0, len(ratings), batch_size)
    return ratings.take(np.concatenate([s + rng.permutation(min(batch_size, len(ratings) - s)) for s in starts]))


def nearest_flips(weights: Weights, batch: Ratings, count: int) -> list[tuple[Flip, Flip]]:
    """Returns the smallest changes of a bias that open or close a relu for some example of the batch.

    Each of the `count` pairs has one change in either hidden layer and shares none with another pair, as long as the
    batch has that many. Preactivations below float32's spacing are passed over: rounding could undo the change.
    """
    first, second = Oracle(weights).preactivations(batch.user_id, batch.movie_id)
    return list(zip(_nearest(first, "bias1", count), _nearest(second, "bias2", count), strict=True))


def _nearest(z: npt.NDArray[np.floating[Any]], bias: str, count: int) -> list[Flip]:
    # An example that the batch holds twice has the same preactivations twice.
    size, place = np.unique(np.abs(z), return_index=True)
    place = place[size > FLOAT32_EPS]
    chosen = np.resize(place[:count], count)
    return [(bias, int(at % z.shape[1]), float(-2 * z.flat[at])) for at in chosen]
