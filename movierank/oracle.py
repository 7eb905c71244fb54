"""The ranking model in NumPy, which every backend is compared with.

With u and m the embedding rows of a user and a movie, x = [u, m], r(z) = max(z, 0):

    h1 = r(x W1 + b1)    h2 = r(h1 W2 + b2)    p = h2 w3 + b3    loss = mean over the batch of (p - label)^2

and Keras's Adagrad (keras/src/optimizers/adagrad.py, the same since Keras 3.0; epsilon is inside the root):

    accumulator += gradient^2
    weight      -= learning_rate * gradient / sqrt(accumulator + epsilon)

In float64 it is the reference. In float32 it shows the effect of rounding alone (see `bench.parity.numpy_process`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from movierank.data.ratings import Ratings
from movierank.weights import Weights

Array = npt.NDArray[np.floating[Any]]
Ids = npt.NDArray[np.integer[Any]]
Squares = Literal["sum_then_square", "square_then_sum", "one_by_one"]

LEARNING_RATE = 0.1  # the tutorial's
INITIAL_ACCUMULATOR = 0.1  # keras.optimizers.Adagrad's defaults
EPSILON = 1e-7

KNOWN_VARIANTS: Mapping[str, Squares] = MappingProxyType({"tensorflow-indexed-slices": "one_by_one"})
"""Understood deviations of a backend by name, as the `squares` of the oracle that reproduces them.

`tensorflow-indexed-slices`: on TensorFlow the gradient of an embedding is `tf.IndexedSlices`, one slice an
example. Keras squares the slices one by one (keras/src/backend/tensorflow/sparse.py, `elementwise_unary`) and
scatters them into the accumulator one after the other, so an id that a batch holds more than once adds the sum of
squares instead of the square of the sum. The weight then moves by each slice over the root of that accumulator, one
after the other too. Each addition rounds: an addend below half a float32 spacing is lost.
"""


@dataclass(frozen=True)
class RowGradient:
    """The gradient of an embedding table in its touched rows only.

    Attributes:
        rows: int [R], the distinct ids of the batch, ascending.
        total: [R, D], the gradient: the sum over all examples with that id.
        squares: [R, D], the addend of Adagrad's accumulator.
        slices: [N, D], the gradients of the single examples, ordered by id.
        places: int [N], index in `rows` of each of `slices`.
    """

    rows: Ids
    total: Array
    squares: Array
    slices: Array
    places: Ids


@dataclass(frozen=True)
class Gradients:
    """All gradients of one batch; `dense` is in the order of `Weights.as_list` after the two tables."""

    user: RowGradient
    candidate: RowGradient
    dense: list[Array]


class Oracle:
    """The ranking model, trained in NumPy.

    Args:
        weights: initial weights; copied.
        learning_rate: learning rate of Adagrad.
        epsilon: epsilon of Adagrad.
        squares: `sum_then_square` is Adagrad; `square_then_sum` sums the squares of the single examples'
            embedding gradients; `one_by_one` adds them to a float32 accumulator, as TensorFlow does (see
            `KNOWN_VARIANTS`).
        dtype: float64 or float32, for all values and computations.

    Attributes:
        weights: the current weights, changed in place by `step`; `weights.astype` copies.
        accumulators: accumulators of Adagrad, in the shapes of the weights, changed in place by `step`.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        learning_rate: float = LEARNING_RATE,
        epsilon: float = EPSILON,
        squares: Squares = "sum_then_square",
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self.weights = weights.astype(dtype)
        self.accumulators = Weights(*(np.full_like(array, INITIAL_ACCUMULATOR) for array in self.weights.as_list()))
        self._learning_rate = learning_rate
        self._epsilon = epsilon
        self._squares = squares

    def predict(self, user_id: Ids, movie_id: Ids) -> Array:
        """Return the predictions [N] in label units for user_id [N] and movie_id [N]."""
        *_, prediction = self._forward(user_id, movie_id)
        return prediction

    def preactivations(self, user_id: Ids, movie_id: Ids) -> tuple[Array, Array]:
        """Return the inputs of the two hidden layers' relu, [N, 256] and [N, 64]."""
        w = self.weights
        z1 = self._embed(user_id, movie_id) @ w.kernel1 + w.bias1
        return z1, np.maximum(z1, 0) @ w.kernel2 + w.bias2

    def loss_and_gradients(self, batch: Ratings) -> tuple[float, Weights]:
        """Return the loss of a batch and its gradient, in the shapes of the weights."""
        loss, gradients = self._gradients(batch)
        user, candidate = np.zeros_like(self.weights.user_embedding), np.zeros_like(self.weights.candidate_embedding)
        user[gradients.user.rows] = gradients.user.total
        candidate[gradients.candidate.rows] = gradients.candidate.total
        return loss, Weights(user, candidate, *gradients.dense)

    def step(self, batch: Ratings) -> float:
        """Make one Adagrad step on a batch and return the loss before it."""
        loss, gradients = self._gradients(batch)
        user, candidate, *dense = zip(self.weights.as_list(), self.accumulators.as_list(), strict=True)
        for (table, accumulator), gradient in ((user, gradients.user), (candidate, gradients.candidate)):
            # The other rows have no gradient, so Adagrad leaves them and their accumulators exactly as they are.
            if self._squares == "one_by_one":
                self._step_one_by_one(table, accumulator, gradient)
                continue
            rows = accumulator[gradient.rows] + gradient.squares
            accumulator[gradient.rows] = rows
            table[gradient.rows] -= self._move(gradient.total, rows)
        for (weight, accumulator), total in zip(dense, gradients.dense, strict=True):
            accumulator += np.square(total)
            weight -= self._move(total, accumulator)
        return loss

    def _step_one_by_one(self, table: Array, accumulator: Array, gradient: RowGradient) -> None:
        slices, places = gradient.slices.astype(np.float32), gradient.places
        rows = accumulator[gradient.rows].astype(np.float32)
        np.add.at(rows, places, np.square(slices))
        accumulator[gradient.rows] = rows
        weights = table[gradient.rows].astype(np.float32)
        np.subtract.at(weights, places, self._move(slices, rows[places]))
        table[gradient.rows] = weights

    def _move(self, gradient: Array, accumulator: Array) -> Array:
        move: Array = self._learning_rate * gradient / np.sqrt(accumulator + self._epsilon)
        return move

    def _embed(self, user_id: Ids, movie_id: Ids) -> Array:
        w = self.weights
        return np.concatenate([w.user_embedding[user_id], w.candidate_embedding[movie_id]], axis=1)

    def _forward(self, user_id: Ids, movie_id: Ids) -> tuple[Array, Array, Array, Array]:
        w = self.weights
        x = self._embed(user_id, movie_id)
        h1 = _relu_layer(x, w.kernel1, w.bias1)
        h2 = _relu_layer(h1, w.kernel2, w.bias2)
        return x, h1, h2, (h2 @ w.kernel3 + w.bias3)[:, 0]

    def _gradients(self, batch: Ratings) -> tuple[float, Gradients]:
        w = self.weights
        x, h1, h2, prediction = self._forward(batch.user_id, batch.movie_id)
        error = prediction - batch.label.astype(prediction.dtype)
        d_prediction = (2.0 / len(batch) * error)[:, np.newaxis]
        d_z2 = d_prediction @ w.kernel3.T
        d_z2 *= h2 > 0
        d_z1 = d_z2 @ w.kernel2.T
        d_z1 *= h1 > 0
        d_x = d_z1 @ w.kernel1.T
        d_user, d_movie = np.split(d_x, 2, axis=1)
        dense = [
            x.T @ d_z1,
            d_z1.sum(axis=0),
            h1.T @ d_z2,
            d_z2.sum(axis=0),
            h2.T @ d_prediction,
            d_prediction.sum(axis=0),
        ]
        gradients = Gradients(self._by_row(batch.user_id, d_user), self._by_row(batch.movie_id, d_movie), dense)
        return float(np.mean(np.square(error))), gradients

    def _by_row(self, ids: Ids, slices: Array) -> RowGradient:
        order = np.argsort(ids, kind="stable")
        ids, slices = ids[order], slices[order]
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        total = np.add.reduceat(slices, starts, axis=0)
        squares = np.square(total)
        if self._squares == "square_then_sum":
            squares = np.add.reduceat(np.square(slices), starts, axis=0)
        places = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(ids)))
        return RowGradient(ids[starts], total, squares, slices, places)


def _relu_layer(x: Array, kernel: Array, bias: Array) -> Array:
    z = x @ kernel
    z += bias
    return np.maximum(z, 0, out=z)


def train(
    oracle: Oracle,
    ratings: Ratings,
    batch_size: int,
    epochs: int,
    on_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Train on `ratings` in their order, `epochs` times over; the last batch of an epoch may be smaller.

    `on_epoch` is called after each epoch with its number, from 1, and its training RMSE: over all its examples, each
    predicted before the step that trains on it, and summed in the oracle's dtype as Keras's metric does in float32.
    """
    kind = oracle.weights.kernel1.dtype.type
    for epoch in range(1, epochs + 1):
        squares = kind(0)
        for start in range(0, len(ratings), batch_size):
            batch = ratings.take(slice(start, start + batch_size))
            squares += kind(oracle.step(batch) * len(batch))
        if on_epoch is not None:
            on_epoch(epoch, float(np.sqrt(squares / kind(len(ratings)))))
