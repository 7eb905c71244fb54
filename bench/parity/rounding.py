"""Changes that leave the model's mathematics as it is but change its rounding: the rounding envelope rests on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.parity.stages import BIAS_TRACE, WEIGHT_NAMES, Values, by_weight
from bench.schema.parity import COPIES
from movierank.data.ratings import Ratings
from movierank.oracle import Oracle
from movierank.weights import Weights

Flip = tuple[str, int, float]  # bias array, its unit, and the value to add

FLOAT32_EPS = float(np.finfo(np.float32).eps)
NEAR = 6.0  # preactivations within so many typical rounding errors of zero may flip


@dataclass(frozen=True)
class Symmetry:
    """An order of the embedding dimensions and of the hidden units that leaves the model's function as it is.

    Attributes:
        dimensions: permutation of the embedding dimensions, [D].
        first: permutation of the units of the first hidden layer.
        second: permutation of those of the second.
    """

    dimensions: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]

    @classmethod
    def draw(cls, weights: Weights, rng: np.random.Generator) -> Symmetry:
        """Draw an order for weights of these shapes."""
        sizes = weights.user_embedding.shape[1], len(weights.bias1), len(weights.bias2)
        return cls(*(rng.permutation(size) for size in sizes))

    def inverse(self) -> Symmetry:
        """Return the symmetry that undoes this one."""
        return Symmetry(*(np.argsort(order) for order in (self.dimensions, self.first, self.second)))

    def apply(self, weights: Weights) -> Weights:
        """Return weights, or gradients or accumulators in their shapes, in this order."""
        d, first, second = self.dimensions, self.first, self.second
        return Weights(
            user_embedding=weights.user_embedding[:, d],
            candidate_embedding=weights.candidate_embedding[:, d],
            kernel1=weights.kernel1[np.concatenate([d, len(d) + d])][:, first],
            bias1=weights.bias1[first],
            kernel2=weights.kernel2[first][:, second],
            bias2=weights.bias2[second],
            kernel3=weights.kernel3[second],
            bias3=weights.bias3,
        )

    def apply_to_values(self, values: Values) -> Values:
        """Return the early stages' values (`bench.parity.stages`) in this order."""
        changed = dict(values)
        groups = dict.fromkeys(stage.partition("/")[0] for stage in values if "/" in stage)
        for group in groups:
            arrays = Weights(*(values[f"{group}/{name}"] for name in WEIGHT_NAMES))
            changed |= by_weight(group, self.apply(arrays).as_list())
        both = np.concatenate([self.first, len(self.first) + self.second])
        trace = values[BIAS_TRACE]
        changed[BIAS_TRACE] = np.concatenate([trace[:, both], trace[:, len(both) :]], axis=1)
        return changed

    def place(self, bias: str, unit: int) -> int:
        """Return where a hidden unit went, by the name of its layer's bias."""
        return int(np.flatnonzero((self.first if bias == "bias1" else self.second) == unit)[0])


def order_in_batches(count: int, batch_size: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw an order of `count` examples that leaves each in its batch, and the last, smaller batch the last."""
    starts = range(0, count, batch_size)
    return np.concatenate([start + rng.permutation(min(batch_size, count - start)) for start in starts])


def permute_in_batches(ratings: Ratings, batch_size: int, rng: np.random.Generator) -> Ratings:
    """Return the same batches in the same order, each with its examples in another order."""
    return ratings.take(order_in_batches(len(ratings), batch_size, rng))


def nearest_flips(weights: Weights, batch: Ratings, count: int) -> list[tuple[Flip, Flip]]:
    """Return the smallest changes of a bias that open or close a relu for some example of the batch.

    Each of the `count` pairs has one change in either hidden layer and shares none with another pair, as long as the
    batch has that many. Preactivations below float32's spacing are passed over: rounding could undo the change.
    """
    first, second = Oracle(weights).preactivations(batch.user_id, batch.movie_id)
    return list(zip(_nearest(first, "bias1", count), _nearest(second, "bias2", count), strict=True))


def flip_of_copy(copy: int) -> int:
    """Return which of the nearest flips copy number `copy` is given, both from 0: the odd copies have the first.

    They are those that flip at once where rounding may, and what rounding may flip is nearest to zero.
    """
    return copy // 2 + (0 if copy % 2 else COPIES // 2)


def flips_at_once(weights: Weights, batch: Ratings) -> int:
    """Return how many flips rounding alone may make in this batch, in the hidden layer where it may make more."""
    exact = Oracle(weights).preactivations(batch.user_id, batch.movie_id)
    rounded = Oracle(weights, dtype=np.float32).preactivations(batch.user_id, batch.movie_id)
    errors = [float(np.sqrt(np.mean(np.square(r - e)))) for r, e in zip(rounded, exact, strict=True)]
    return max(int(np.count_nonzero(np.abs(e) < NEAR * error)) for e, error in zip(exact, errors, strict=True))


def _nearest(z: npt.NDArray[np.floating[Any]], bias: str, count: int) -> list[Flip]:
    # An example that the batch holds twice has the same preactivations twice.
    size, place = np.unique(np.abs(z), return_index=True)
    place = place[size > FLOAT32_EPS]
    chosen = np.resize(place[:count], count)
    return [(bias, int(at % z.shape[1]), float(-2 * z.flat[at])) for at in chosen]
