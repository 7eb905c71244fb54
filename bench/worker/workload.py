"""Examples of a workload of one's own: arrays, or structures of arrays, of inputs and targets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.parity.rounding import Symmetry
from bench.parity.stages import Values, first_step_of
from movierank.data.ratings import Ratings
from movierank.training import TrainingState

Rows = slice | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Examples:
    """Inputs and targets in training order, named as in `movierank.data.ratings.Ratings`.

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
    """What a workload of one's own is trained on and tested with, named as in `movierank.data.splits.Split`."""

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


@dataclass(frozen=True)
class Course:
    """What a training starts from and is given.

    Attributes:
        first_step: state from which the stages up to the first step are recorded.
        later: state from which those after it are: the same, but for a relu that opens or closes in a copy.
        train: the train part.
        back: puts early stages' values into the order of the training itself; None where they are in it.
        steps: whose stages are recorded.
    """

    first_step: TrainingState
    later: TrainingState
    train: Ratings
    back: Symmetry | None = None
    steps: int = 1

    def record(self, record: Callable[[TrainingState, Ratings], Values]) -> Values:
        """Returns the early stages, of which `record` returns those from a state on."""
        values = record(self.later, self.train)
        if self.first_step is not self.later:
            values = first_step_of(record(self.first_step, self.train), values, self.steps)
        return values if self.back is None else self.back.apply_to_values(values)
