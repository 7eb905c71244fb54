"""The `native` loop on TensorFlow: one XLA program with the loop over an epoch's batches and the gradient by hand.

The program reads weights and accumulators from the model's variables when it starts, keeps them in XLA's buffers while
it loops, and assigns them when it ends, so that an interrupted call leaves the variables as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from movierank.loops import Updates
from movierank.loops.examples import Examples, Feed
from movierank.loops.native import Adagrad, accumulators, epoch_logs, tables_by_rows
from movierank.loops.tensorflow.feed import in_thread, upload
from movierank.loops.tensorflow.rows import set_rows, sum_by_row
from movierank.model import RankingModel


class Training:
    """A `movierank.loops.driver.EpochTraining` of a built and compiled model."""

    def __init__(self, model: RankingModel, updates: Updates) -> None:
        self._model = model
        self._updates = updates
        self._feed = Feed(upload, in_thread)
        self._squares: list[Any] = []
        self._count = 0

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once."""
        constants = Adagrad.of(self._model)  # a callback may have set another learning rate
        weights = [variable.value for variable in self._model.weights]
        accumulated = [variable.value for variable in accumulators(self._model)]
        self._squares, self._count = [], examples.count
        for stretch in self._feed.chunks(examples, order):
            squares = _train(
                weights,
                accumulated,
                stretch.arrays,
                stretch.steps,
                tf.constant(constants.learning_rate),
                tf.constant(constants.epsilon),
                by_rows=tables_by_rows(self._model, self._updates, examples.batch_size),
            )
            self._model.optimizer.iterations.assign_add(keras.ops.cast(stretch.steps, "int32"))
            self._squares.append(squares)

    def write_back(self) -> None:
        """Do nothing: each stretch ends in the model's own variables."""

    def logs(self) -> Mapping[str, float]:
        """Return loss and RMSE of the epoch."""
        return epoch_logs(self._squares, self._count)


def loss_and_gradients(
    model: RankingModel, x: Mapping[str, Any], y: Any
) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients in the order of the weights, dense."""
    weights = [variable.value for variable in model.weights]
    batch = (tf.constant(x["user_id"]), tf.constant(x["movie_id"]), tf.constant(y, tf.float32))
    loss, gradients = _gradients_of_batch(weights, *batch)
    return float(loss), [np.asarray(gradient) for gradient in gradients]


def compile_mode(model: RankingModel) -> str:
    """Return the compiler of a model's loop."""
    return "xla"


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _train(
    weights: list[tf.Variable],
    accumulators: list[tf.Variable],
    examples: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    steps: tf.Tensor,
    rate: tf.Tensor,
    epsilon: tf.Tensor,
    *,
    by_rows: tuple[bool, bool],
) -> tf.Tensor:
    """Make `steps` steps and return the sum of squared errors, each example predicted before its step.

    Args:
        weights: weights in the order of `movierank.weights.Weights`.
        accumulators: accumulators in the same order.
        examples: user_id, movie_id and label, [steps or more, B] each.
        steps: int32, number of steps.
        rate: learning rate of Adagrad.
        epsilon: epsilon of Adagrad.
        by_rows: whether each table is updated row by row.
    """
    users, movies, labels = examples

    def step(index: Any, squares: Any, weights: Any, accumulators: Any, scratches: Any) -> Any:
        ids = (users[index], movies[index])
        error, slices, gradients = _backward(weights, *ids, labels[index])
        moved, scratched = [], []
        for place, rows in enumerate(by_rows):
            table, accumulator = weights[place], accumulators[place]
            if rows:
                total, scratch = sum_by_row(slices[place], ids[place], scratches[place])
                moved.append(_move_rows(table, accumulator, ids[place], total, rate, epsilon))
            else:
                scratch = scratches[place]
                moved.append(_move(table, accumulator, _dense(table, ids[place], slices[place]), rate, epsilon))
            scratched.append(scratch)
        for weight, accumulator, gradient in zip(weights[2:], accumulators[2:], gradients, strict=True):
            moved.append(_move(weight, accumulator, gradient, rate, epsilon))
        weights, accumulators = map(list, zip(*moved, strict=True))
        return index + 1, squares + tf.reduce_sum(tf.square(error)), weights, accumulators, scratched

    _, squares, after, grown, _ = tf.while_loop(
        lambda index, *_: index < steps,
        step,
        (
            tf.constant(0),
            tf.constant(0.0),
            [weight.read_value() for weight in weights],
            [accumulator.read_value() for accumulator in accumulators],
            [tf.zeros([weights[place].shape[0] if rows else 0], tf.int32) for place, rows in enumerate(by_rows)],
        ),
    )
    for variable, value in zip((*weights, *accumulators), (*after, *grown), strict=True):
        variable.assign(value)
    return squares


def _move(weight: Any, accumulator: Any, gradient: Any, rate: Any, epsilon: Any) -> tuple[Any, Any]:
    """Return weight and accumulator after Adagrad's step."""
    with tf.name_scope("adagrad"):  # profilers show this name
        accumulator += tf.square(gradient)
        return weight - rate * gradient / tf.sqrt(accumulator + epsilon), accumulator


def _move_rows(table: Any, accumulator: Any, ids: Any, total: Any, rate: Any, epsilon: Any) -> tuple[Any, Any]:
    """Return table and accumulator after Adagrad's step on the rows `ids` [B] with their gradients, [B, D]."""
    moved, grown = _move(tf.gather(table, ids), tf.gather(accumulator, ids), total, rate, epsilon)
    return set_rows(table, ids, moved), set_rows(accumulator, ids, grown)


def _dense(table: Any, ids: Any, slices: Any) -> Any:
    return tf.math.unsorted_segment_sum(slices, ids, table.shape[0])


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _gradients_of_batch(weights: list[tf.Variable], user: Any, movie: Any, label: Any) -> tuple[Any, list[Any]]:
    state = [weight.read_value() for weight in weights]
    error, slices, others = _backward(state, user, movie, label)
    tables = [_dense(*table) for table in zip(state[:2], (user, movie), slices, strict=True)]
    return tf.reduce_mean(tf.square(error)), [*tables, *others]


def _backward(weights: list[Any], user: Any, movie: Any, label: Any) -> tuple[Any, list[Any], list[Any]]:
    """Return the errors [B] of a batch, the slices of both tables [B, D], and the gradients of the other weights."""
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
