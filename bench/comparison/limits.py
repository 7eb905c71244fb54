"""How far a machine is taken to drift between two measurements where nothing is known; a module that starts at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.errors import BenchError

# On two shared virtual cores, 43 sides of two days scattered by 3.4 % beyond their processes, give or take 0.5 %
# (results/validation/jax.json). A quiet machine has less, a busier one more: only `bench validate` tells.
ASSUMED_SD = 0.03  # standard deviation of a side, as a share of its step time


@dataclass(frozen=True)
class Limits:
    """What is still fine.

    Attributes:
        max_regression: share by which a step may take longer, such as 0.05.
        rmse_margin: by how much the test RMSE may rise. Training from other seeds moves the tutorial's by
            0.0027 (standard deviation of 25), which cancels where both sides have the same seeds; rounding moves it by
            some 0.0001 (`bench.parity.numpy_process`).

    Raises:
        BenchError: if one is negative or not finite.
    """

    max_regression: float = 0.05
    rmse_margin: float = 0.001

    def __post_init__(self) -> None:
        for name, value in (("max-regression", self.max_regression), ("rmse-margin", self.rmse_margin)):
            if not (math.isfinite(value) and value >= 0):
                raise BenchError(f"--{name} must be 0 or more; received {value}. Give for example 5%.")
