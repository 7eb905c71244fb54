"""Gradients that an optimizer receives for the tables that a model looks up rows of.

TensorFlow's gradient of a table is `tf.IndexedSlices`, a slice for each id that was looked up. If the table is also
used in another way, it is a tensor. Keras's optimizers square the slices of one id before they are added
(docs/deviations.md). Here they are added first: into a tensor of the table's size, or by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from movierank.loops import Updates
from movierank.loops.exact_rows import not_by_rows, rows_pay, used_otherwise, why_not_rows
from movierank.loops.tensorflow.ids import LookedUp
from movierank.loops.tensorflow.rows import sum_by_row


class TableUpdates:
    """Updates of a model's tables in the requested way.

    Args:
        updates: the way.
        looked_up: counter of ids that are looked up otherwise than by an embedding layer.
        model: model whose step is traced with these updates.
    """

    def __init__(self, updates: Updates, looked_up: LookedUp, model: keras.Model) -> None:
        self._updates = updates
        self._looked_up = looked_up
        by_row = updates in ("auto", "rows") and why_not_rows(model.optimizer) is None
        # `tf.function` allows variables in its first trace only, and only a later one, of a smaller batch, may update
        # by row. Before a trace, nobody knows which weights are tables, so each one that could be has a scratch.
        self._scratches = {id(v): _scratch(v) for v in model.trainable_variables if by_row and v.shape}

    @contextmanager
    def instead_of_apply(self, model: keras.Model) -> Iterator[None]:
        """Replace the optimizer's `apply` while a training step is traced.

        Raises:
            ValueError: rows were requested, and a table's gradient is not by row.
        """
        optimizer = model.optimizer
        keras_apply = optimizer.apply

        def apply(gradients: Sequence[Any], variables: Sequence[keras.Variable] | None = None) -> None:
            pairs = list(zip(gradients, model.trainable_variables if variables is None else variables, strict=True))
            by_row = self._by_row(model, pairs)
            if by_row:  # Keras checks only the variables that it receives
                optimizer._check_variables_are_known([variable for _, variable in pairs])
            rate = optimizer.learning_rate
            left = []
            for place, (gradient, variable) in enumerate(pairs):
                if isinstance(gradient, tf.IndexedSlices):
                    # `keras.ops.take` has already made negative ids with a row positive.
                    self._looked_up.count_others(variable, gradient.indices)
                    if place in by_row:
                        self._update_rows(optimizer, variable, gradient, rate)
                        continue
                    if self._updates != "slices":
                        gradient = dense(gradient, variable)
                left.append((gradient, variable))
            if by_row and all(gradient is None for gradient, _ in left):
                optimizer.iterations.assign_add(1)  # Keras would do just that, but it refuses an empty list
            else:
                keras_apply(*map(list, zip(*left, strict=True)))

        vars(optimizer)["apply"] = apply
        try:
            yield
        finally:
            del vars(optimizer)["apply"]

    def _by_row(self, model: keras.Model, pairs: Sequence[tuple[Any, keras.Variable]]) -> set[int]:
        """Return the places of the variables that are to be updated by row."""
        if self._updates in ("tables", "slices") or (
            (reason := why_not_rows(model.optimizer)) and self._updates == "auto"
        ):
            return set()
        if reason:
            raise not_by_rows(reason)
        exact = {
            place
            for place, (gradient, variable) in enumerate(pairs)
            if isinstance(gradient, tf.IndexedSlices) and variable.constraint is None
        }
        if self._updates == "auto":
            return {place for place in exact if rows_pay(pairs[place][1].shape[0], pairs[place][0].indices.shape[0])}
        tables = {
            id(layer.embeddings) for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)
        }
        otherwise = [v.path for place, (_, v) in enumerate(pairs) if id(v) in tables and place not in exact]
        if otherwise or not exact:
            raise not_by_rows(used_otherwise(otherwise))
        return exact

    def _update_rows(
        self, optimizer: keras.optimizers.Optimizer, variable: keras.Variable, gradient: tf.IndexedSlices, rate: Any
    ) -> None:
        """Make Adagrad's or SGD's step (keras/src/optimizers/{adagrad,sgd}.py) on the rows of a gradient."""
        table, ids = variable.value, gradient.indices
        scratch = self._scratches[id(variable)]
        total, scratched = sum_by_row(tf.cast(gradient.values, table.dtype), ids, scratch.read_value())
        scratch.assign(scratched)
        move = tf.cast(rate, table.dtype) * total
        if isinstance(optimizer, keras.optimizers.Adagrad):
            # These are private, since Keras has no public access to an optimizer's state by variable.
            accumulator = optimizer._accumulators[optimizer._get_variable_index(variable)].value
            grown = tf.gather(accumulator, ids) + tf.square(total)
            accumulator.scatter_nd_update(ids[:, tf.newaxis], grown)
            move /= tf.sqrt(grown + tf.cast(optimizer.epsilon, table.dtype))
        table.scatter_nd_update(ids[:, tf.newaxis], tf.gather(table, ids) - move)


def _scratch(table: keras.Variable) -> tf.Variable:
    """Return zeros, int [rows], for `sum_by_row` on a table."""
    # TensorFlow keeps int32 variables on the host, out of reach of an XLA program on a GPU
    # (tensorflow.org/xla/known_issues); on a CPU int32 takes half the memory.
    dtype = tf.int64 if "GPU" in table.value.device else tf.int32
    return tf.Variable(tf.zeros(table.shape[0], dtype), trainable=False)


def dense(gradient: Any, variable: keras.Variable) -> Any:
    """Return a gradient as a tensor of its variable's shape; slices of one id are summed."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])
