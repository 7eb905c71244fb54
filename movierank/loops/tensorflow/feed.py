"""Training examples on TensorFlow's device, in shapes that need few compiled programs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from movierank.loops.examples import Chunk, given, map_given

GRANULE_BYTES = 2 * 2**20  # all epochs of MovieLens 100K, and single batches of it, are one program


@dataclass(frozen=True)
class Stretch:
    """A chunk on the device.

    Attributes:
        arrays: the structure of `Examples.arrays`, each tensor of shape [steps or more, batch_size, ...].
        steps: int32, number of batches to train on; the others are padding.
        batch_size: examples in each batch.
        ranges: smallest and largest value of each flattened array; None for an array that does not hold integers, or is
            not given.
    """

    arrays: Any
    steps: tf.Tensor
    batch_size: int
    ranges: tuple[tuple[int, int] | None, ...]


def upload(chunk: Chunk) -> Stretch:
    """Transfer a chunk to the device.

    Raises:
        ValueError: an array does not hold numbers.
    """
    of_step = sum(array.nbytes for array in given(chunk.arrays)) // chunk.steps
    granule = max(1, GRANULE_BYTES // max(1, of_step))
    steps = -(-chunk.steps // granule) * granule
    arrays = map_given(lambda array: _batches(array, steps, chunk.batch_size), chunk.arrays)
    ranges = tuple(map(_range, keras.tree.flatten(chunk.arrays)))
    return Stretch(arrays, tf.constant(chunk.steps, tf.int32), chunk.batch_size, ranges)


def in_thread(stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """Yield stretches; the next one is read and transferred while the caller trains on the current one."""
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(next, stretches, None)
        while (stretch := coming.result()) is not None:
            coming = ahead.submit(next, stretches, None)
            yield stretch


def _range(array: Any) -> tuple[int, int] | None:
    if array is None or array.dtype.kind not in "iu" or not array.size:
        return None
    return int(array.min()), int(array.max())


def _batches(array: Any, steps: int, batch_size: int) -> tf.Tensor:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"this loop trains on numbers; received an array of {array.dtype}")
    # Keras's array adapter makes all floats floatx. TensorFlow may share the copy's memory.
    dtype = np.dtype(keras.config.floatx()) if array.dtype.kind == "f" else array.dtype
    padded = np.zeros((steps * batch_size, *array.shape[1:]), dtype)
    padded[: len(array)] = array
    return tf.convert_to_tensor(padded.reshape(steps, batch_size, *array.shape[1:]))
