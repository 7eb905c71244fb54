"""Training examples on JAX's device, in shapes that a compiled epoch can reuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax

from movierank.loops.examples import Chunk


@dataclass(frozen=True)
class DeviceChunk:
    """A `Chunk` on the device.

    Attributes:
        arrays: a chunk's arrays padded with zeros: [room * batch_size, ...], with `room` a power of two, so that chunks
            of other lengths run the code that is already compiled.
        steps: number of batches without the padding.
        batch_size: examples in each batch.
    """

    arrays: Any
    steps: int
    batch_size: int


def batch(arrays: Any, step: Any, batch_size: int) -> Any:
    """Return one batch of a chunk's arrays, inside compiled code."""
    return jax.tree.map(lambda array: lax.dynamic_slice_in_dim(array, step * batch_size, batch_size), arrays)


def upload(chunk: Chunk) -> DeviceChunk:
    """Transfer a chunk to the device."""
    missing = (1 << (chunk.steps - 1).bit_length()) - chunk.steps

    def padded(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.pad(array, [(0, missing * chunk.batch_size)] + [(0, 0)] * (array.ndim - 1)) if missing else array

    return DeviceChunk(jax.device_put(jax.tree.map(padded, chunk.arrays)), chunk.steps, chunk.batch_size)
