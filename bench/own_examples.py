"""Examples of a workload of one's own: arrays, or structures of arrays, of inputs and targets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Rows = slice | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Examples:
    """Inputs and targets in training order, named as in `movierank.ratings.Ratings`.

    Attributes:
        features: NumPy arrays [N, ...] in any structure that Keras takes.
        label: likewise.
    """

    features: Any
    label: Any

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(keras.tree.flatten(self.features)[0])

    def take(self, rows: Rows) -> Examples:
        """Returns the examples at `rows`, in that order."""
        return Examples(
            *(keras.tree.map_structure(lambda array: array[rows], part) for part in (self.features, self.label))
        )


@dataclass(frozen=True)
class Parts:
    """What a workload of one's own is trained on and tested with, named as in `movierank.splits.Split`."""

    train: Examples
    test: Examples


def sha256_of(structures: Any) -> str:
    """Returns the checksum of all arrays in a structure: their places in it, types, shapes and contents."""
    digest = hashlib.sha256()
    for path, array in keras.tree.flatten_with_path(structures):
        digest.update(f"{path} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def permute_in_batches(examples: Examples, batch_size: int, rng: np.random.Generator) -> Examples:
    """Returns the same batches in the same order, each with its examples in another order."""
    starts = range(0, len(examples), batch_size)
    sizes = [min(batch_size, len(examples) - start) for start in starts]
    return examples.take(
        np.concatenate([start + rng.permutation(size) for start, size in zip(starts, sizes, strict=True)])
    )
