"""What a session trains, the same for the built-in ranking model and for custom workloads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.parity.rounding import Symmetry
from bench.parity.stages import Values, first_step_of
from movierank.data.ratings import Ratings
from movierank.data.splits import Split
from movierank.training import TrainingState


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of a custom workload in training order, named as in `movierank.data.ratings.Ratings`.

    Attributes:
        features: NumPy arrays [N, ...] in any structure that Keras takes.
        label: NumPy arrays [N, ...] likewise.
    """

    features: Any
    label: Any

    def __len__(self) -> int:
        """Return the number of examples N."""
        return len(keras.tree.flatten(self.features)[0])

    def take(self, index: slice | npt.NDArray[np.integer[Any]]) -> Examples:
        """Return the examples at `index` (integer array [M] or slice), in that order."""
        return Examples(
            *(keras.tree.map_structure(lambda array: array[index], part) for part in (self.features, self.label))
        )


@dataclass(frozen=True)
class Parts:
    """The train and test part of a custom workload, named as in `movierank.data.splits.Split`."""

    train: Examples
    test: Examples

    def sha256(self) -> str:
        """Return the checksum of the arrays of both parts, in order."""
        return sha256_of([self.train.features, self.train.label, self.test.features, self.test.label])


@dataclass(frozen=True)
class Course:
    """The start of one training, and its data.

    Attributes:
        first_step: state from which the stages up to the first step are recorded.
        later: state from which the later stages are recorded. In a copy of the built-in training it differs by a relu
            that opens or closes.
        train: train part.
        back: symmetry that puts the early stages' values into the order of the original training; None where they are
            in that order.
        steps: number of steps whose stages are recorded.
    """

    first_step: TrainingState
    later: TrainingState
    train: Ratings | Examples
    back: Symmetry | None = None
    steps: int = 1

    def record(self, record: Callable[[TrainingState, Any], Values]) -> Values:
        """Return the early stages.

        Args:
            record: function that returns all early stages of a training from a state on a train part.
        """
        values = record(self.later, self.train)
        if self.first_step is not self.later:
            values = first_step_of(record(self.first_step, self.train), values, self.steps)
        return values if self.back is None else self.back.apply_to_values(values)


@dataclass(frozen=True)
class StepSize:
    """The sizes of a step's work, at which a device's limits are measured.

    Attributes:
        layers: shapes of the dense layers' kernels.
        touched_bytes: bytes of weights and accumulators that a step updates.
        touched_rows: number of table rows that a batch uses; None where it is not counted.
    """

    layers: Sequence[tuple[int, int]]
    touched_bytes: float
    touched_rows: float | None = None


@dataclass(frozen=True)
class Trainable:
    """A workload as a session trains it.

    Attributes:
        split: train and test part.
        build: function that returns the model, compiled and with the job's initial weights.
        metric: name of the metric in Keras's logs.
        copy: function that returns the course of a copy, a training that differs in rounding alone. Its arguments are
            the initial state, the train part and the copy's number, from 0.
        record: function that returns the early stages: `bench.worker.stage_recorder.record_early_stages` with `names`
            and `probe`.
        step_size: function that returns the sizes of a step of the model on the train part; None where it is unknown
            what a step must do.
        fields: names of the metric of the train and of the test part in `bench.schema.messages.Trained`.
        stores_metric: whether the metric is stored with the stages, since it does not follow from the predictions.
        tests_epochs: whether the test part is evaluated after each epoch.
    """

    split: Split | Parts
    build: Callable[[], keras.Model]
    metric: str
    copy: Callable[[TrainingState, Any, int], Course]
    record: Callable[..., Values]
    step_size: Callable[[keras.Model, Any], StepSize] | None
    fields: tuple[str, str]
    stores_metric: bool = False
    tests_epochs: bool = False


def predict(model: keras.Model, features: Any, batch_size: int) -> npt.NDArray[np.floating[Any]]:
    """Return all outputs of a model side by side: [N], or [N, values] where there are several, in float32 or wider."""
    outputs = keras.tree.flatten(model.predict(features, batch_size=batch_size, verbose=0))
    rows = np.concatenate([np.asarray(array).reshape(len(array), -1) for array in outputs], axis=1)
    rows = rows.astype(np.promote_types(rows.dtype, np.float32), copy=False)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def sha256_of(structures: Any) -> str:
    """Return the checksum of all arrays in a structure: their places in it, types, shapes and contents."""
    digest = hashlib.sha256()
    for path, array in keras.tree.flatten_with_path(structures):
        digest.update(f"{path} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
