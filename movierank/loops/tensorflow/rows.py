"""Row-wise updates of embedding tables in TensorFlow: only the rows that a batch has touched.

A row that no example has looked up has a zero gradient, and Adagrad and plain SGD leave such a row as it is, so this is
exact. All shapes are those of the batch, which lets XLA compile it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def sum_by_row(slices: Any, ids: Any, scratch: Any) -> tuple[Any, Any]:
    """Sum gradients of the same row, without sorting.

    Args:
        slices: [K, D], what each look-up adds to the gradient of its row.
        ids: int [K], the rows.
        scratch: int32 or int64 [table rows], with any content.

    Returns:
        [K, D], at every look-up the whole gradient of its row, so that writing a row twice writes the same values
        twice; and the scratch to use next.
    """
    # Each look-up writes its number at its row, and all look-ups of one row read back the number that stayed.
    count = tf.shape(ids)[0]
    scratch = tf.tensor_scatter_nd_update(scratch, ids[:, tf.newaxis], tf.cast(tf.range(count), scratch.dtype))
    slot = tf.gather(scratch, ids)
    return tf.gather(tf.math.unsorted_segment_sum(slices, slot, count), slot), scratch


def set_rows(table: Any, ids: Any, rows: Any) -> Any:
    """Return the table [R, D] with `rows` [K, D] at `ids` [K]; rows of one id must be equal."""
    # An addition to rows would make XLA copy the table at every step: 5.1 ms instead of 1.0 at 201k and 293k rows.
    return tf.tensor_scatter_nd_update(table, ids[:, tf.newaxis], rows)
