"""The `native` loop on TensorFlow: one XLA program that holds the epoch's loop, with the gradient by hand.

Weights and accumulators are read from the model's variables when the program starts, stay in XLA's own buffers while
it loops, and are assigned when it ends, so that an interrupted call leaves the variables as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from movierank.loops import Updates
from movierank.loops.examples import Examples
from movierank.loops.feed_tensorflow import Feed
from movierank.loops.native import Adagrad, accumulators, epoch_logs
from movierank.loops.rows_tensorflow import set_rows, sum_duplicates
from movierank.model import RankingModel

ROWS_FROM = 2**18  # elements of both tables; see `_pays`


def start(model: RankingModel, adagrad: Adagrad, embedding_updates: Updates) -> NativeTraining:
    """Returns the training of a built and compiled model.

    Raises:
        ValueError: slices were asked for.
    """
    if embedding_updates == "slices":
        raise ValueError("the native loop sums slices before it squares them; fused-slices does as Keras does")
    rows = _pays(model) if embedding_updates == "auto" else embedding_updates == "rows"
    return NativeTraining(model, adagrad, rows)


class NativeTraining:
    """A `movierank.loops.driver.EpochTraining`.

    Args:
        model: to train.
        adagrad: the optimizer's constants.
        rows: whether tables are updated row by row.
    """

    def __init__(self, model: RankingModel, adagrad: Adagrad, rows: bool) -> None:
        self._weights = [variable.value for variable in model.weights]
        self._accumulators = [variable.value for variable in accumulators(model)]
        self._iterations = model.optimizer.iterations
        self._constants = (tf.constant(adagrad.learning_rate), tf.constant(adagrad.epsilon))
        self._rows = rows
        self._feed = Feed()
        self._sums: list[tf.Tensor] = []
        self._count = 0

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Trains on all examples once."""
        self._sums, self._count = [], examples.count
        for stretch in self._feed.epoch(examples, order):
            sum_of_squares = _train(
                self._weights, self._accumulators, stretch.arrays, stretch.steps, *self._constants, rows=self._rows
            )
            self._sums.append(sum_of_squares)
            self._iterations.assign_add(keras.ops.cast(stretch.steps, self._iterations.dtype))

    def write_back(self) -> None:
        """Does nothing: each stretch has ended in the model's own variables."""

    def logs(self) -> Mapping[str, float]:
        """Returns loss and RMSE of the epoch."""
        return epoch_logs(sum(float(value) for value in self._sums), self._count)


def loss_and_gradients(
    model: RankingModel, x: Mapping[str, Any], y: Any
) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Returns the loss of one batch and its gradients in the order of the weights, dense."""
    weights = [variable.value for variable in model.weights]
    batch = (tf.constant(x["user_id"]), tf.constant(x["movie_id"]), tf.constant(y, tf.float32))
    loss, gradients = _gradients_of_batch(weights, *batch)
    return float(loss), [np.asarray(gradient) for gradient in gradients]


def compile_mode() -> str:
    """Returns what compiles this loop."""
    return "xla"


def _pays(model: RankingModel) -> bool:
    tables = (model.user_embedding, model.candidate_embedding)
    return sum(int(np.prod(table.embeddings.shape)) for table in tables) >= ROWS_FROM


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _train(
    weights: list[tf.Variable],
    accumulators: list[tf.Variable],
    examples: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    steps: tf.Tensor,
    rate: tf.Tensor,
    epsilon: tf.Tensor,
    *,
    rows: bool,
) -> tf.Tensor:
    """Makes `steps` steps and returns the sum of squared errors, each example predicted before its step.

    Args:
        weights: in the order of `movierank.weights.Weights`.
        accumulators: in the same.
        examples: user_id, movie_id and label, [steps or more, B] each.
        steps: int32.
        rate: Adagrad's learning rate.
        epsilon: Adagrad's.
        rows: whether tables are updated row by row.
    """
    users, movies, labels = examples

    def step(index: Any, squares: Any, weights: Any, accumulators: Any, scratches: Any) -> Any:
        batch = (users[index], movies[index])
        error, slices, gradients = _backward(weights, *batch, labels[index])
        tables: list[Any]
        if rows:
            tables = [
                _move_rows(*table, rate, epsilon)
                for table in zip(weights[:2], accumulators[:2], batch, slices, scratches, strict=True)
            ]
            scratches = [scratch for *_, scratch in tables]
        else:
            tables = [
                _move(table, accumulator, _dense(table, ids, slices), rate, epsilon)
                for table, accumulator, ids, slices in zip(weights[:2], accumulators[:2], batch, slices, strict=True)
            ]
        others = [_move(*one, rate, epsilon) for one in zip(weights[2:], accumulators[2:], gradients, strict=True)]
        moved = [*tables, *others]
        squares += tf.reduce_sum(tf.square(error))
        return index + 1, squares, [weight for weight, *_ in moved], [grown for _, grown, *_ in moved], scratches

    _, squares, after, grown, _ = tf.while_loop(
        lambda index, *_: index < steps,
        step,
        (
            tf.constant(0),
            tf.constant(0.0),
            [weight.read_value() for weight in weights],
            [accumulator.read_value() for accumulator in accumulators],
            [tf.zeros([table.shape[0]], tf.int32) for table in weights[:2]] if rows else [],
        ),
    )
    for variable, value in zip((*weights, *accumulators), (*after, *grown), strict=True):
        variable.assign(value)
    return squares


def _move(weight: Any, accumulator: Any, gradient: Any, rate: Any, epsilon: Any) -> tuple[Any, Any]:
    """Returns weight and accumulator after Adagrad's step."""
    accumulator += tf.square(gradient)
    return weight - rate * gradient / tf.sqrt(accumulator + epsilon), accumulator


def _move_rows(
    table: Any, accumulator: Any, ids: Any, slices: Any, scratch: Any, rate: Any, epsilon: Any
) -> tuple[Any, Any, Any]:
    """Returns table and accumulator after Adagrad's step on the rows `ids`, and the scratch of `sum_duplicates`."""
    total, scratch = sum_duplicates(ids, slices, scratch)
    moved, grown = _move(tf.gather(table, ids), tf.gather(accumulator, ids), total, rate, epsilon)
    return set_rows(table, ids, moved), set_rows(accumulator, ids, grown), scratch


def _dense(table: Any, ids: Any, slices: Any) -> Any:
    return tf.math.unsorted_segment_sum(slices, ids, table.shape[0])


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _gradients_of_batch(weights: list[tf.Variable], user: Any, movie: Any, label: Any) -> tuple[Any, list[Any]]:
    state = [weight.read_value() for weight in weights]
    error, slices, others = _backward(state, user, movie, label)
    tables = [_dense(*table) for table in zip(state[:2], (user, movie), slices, strict=True)]
    return tf.reduce_mean(tf.square(error)), [*tables, *others]


def _backward(weights: list[Any], user: Any, movie: Any, label: Any) -> tuple[Any, list[Any], list[Any]]:
    """Returns for a batch of B its errors [B], the slices of both tables [B, D], and the gradients of the others."""
    users, movies, kernel1, bias1, kernel2, bias2, kernel3, bias3 = weights
    x = tf.concat([tf.gather(users, user), tf.gather(movies, movie)], axis=1)
    h1 = tf.nn.relu(x @ kernel1 + bias1)
    h2 = tf.nn.relu(h1 @ kernel2 + bias2)
    error = (h2 @ kernel3 + bias3)[:, 0] - label
    d_prediction = (2.0 / label.shape[0] * error)[:, tf.newaxis]
    d_z2 = tf.where(h2 > 0, d_prediction * tf.transpose(kernel3), 0.0)
    d_z1 = tf.where(h1 > 0, tf.matmul(d_z2, kernel2, transpose_b=True), 0.0)
    slices = tf.split(tf.matmul(d_z1, kernel1, transpose_b=True), 2, axis=1)
    others = [
        tf.matmul(x, d_z1, transpose_a=True),
        tf.reduce_sum(d_z1, axis=0),
        tf.matmul(h1, d_z2, transpose_a=True),
        tf.reduce_sum(d_z2, axis=0),
        tf.matmul(h2, d_prediction, transpose_a=True),
        tf.reduce_sum(d_prediction, axis=0),
    ]
    return error, slices, others
