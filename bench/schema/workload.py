"""Custom workloads for `run --workload module:object`: any Keras model, described by a few values and two functions.

Only worker processes import the module that defines a workload, so it may import Keras at its top. This module imports
neither Keras nor a framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Arrays:
    """The data to train on and to test with, each an array [N, ...] or a dict, list or tuple of them.

    Float64 values are rounded to float32, as Keras does. The order is kept: batches are taken from the start.

    Attributes:
        train_x: inputs of the train part.
        train_y: targets of the train part.
        test_x: inputs of the test part.
        test_y: targets of the test part.
    """

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any


@dataclass(frozen=True)
class Workload:
    """A model, its data, and how it is trained.

    Attributes:
        name: name in reports.
        build: function that takes a seed and returns the `keras.Model`, built and compiled with a Keras optimizer.
            Keras's own random state is seeded before the call; anything else that is drawn must follow from the seed.
        arrays: function that returns the data, the same each time.
        metric: name in Keras's logs of the compiled metric that is reported; `loss` is one.
        batch_size: examples a step.
        epochs: epochs of the training whose metric is reported.
        better: whether a lower or a higher value of the metric is better.
        target: value of the metric on the test part up to which training time is reported; None for none. A target
            costs an evaluation after each epoch, which is not timed.
    """

    name: str
    build: Callable[[int], Any]
    arrays: Callable[[], Arrays]
    metric: str
    batch_size: int
    epochs: int
    better: Better = "lower"
    target: float | None = None

    def __post_init__(self) -> None:
        """Refuse values without a meaning.

        Raises:
            ValueError: a number is below 1, or a word is unknown or missing.
        """
        for name in ("batch_size", "epochs"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; received {value!r}")
        for name in ("name", "metric"):
            if not isinstance(value := getattr(self, name), str) or not value.strip():
                raise ValueError(f"{name} must be a name; received {value!r}")
        if self.better not in ("lower", "higher"):
            raise ValueError(f"better must be 'lower' or 'higher'; received {self.better!r}")
        if self.target is not None and not (isinstance(self.target, int | float) and math.isfinite(self.target)):
            raise ValueError(f"target must be a number that the metric can reach; received {self.target!r}")
