"""Changes that leave the model's mathematics as it is and its rounding not: what the rounding envelope is made of."""

from __future__ import annotations

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


def nearest_flips(weights: Weights, batch: Ratings, count: int) -> list[Flip]:
    """Returns the smallest changes of one hidden bias that each open or close a relu for one example of the batch.

    The two layers take turns. Preactivations below float32's spacing are passed over: rounding could undo the change.
    """
    layers = Oracle(weights).preactivations(batch.user_id, batch.movie_id)
    nearest = []
    for z in layers:
        size = np.where(np.abs(z) > FLOAT32_EPS, np.abs(z), np.inf)
        nearest.append(np.argsort(size, axis=None)[: (count + 1) // 2])
    flips = []
    for k in range(count):
        layer, z = k % 2, layers[k % 2]
        example, unit = np.unravel_index(nearest[layer][k // 2 % len(nearest[layer])], z.shape)
        flips.append((f"bias{layer + 1}", int(unit), float(-2 * z[example, unit])))
    return flips
