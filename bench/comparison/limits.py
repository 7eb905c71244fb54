"""Limits and allowances of a comparison; the module imports nothing heavy, so that `--help` starts at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.comparison.drift import Drift

# On two shared virtual cores, 43 sides of two days scattered by 3.4 % beyond their processes, give or take 0.5 %
# (results/validation/jax.json). A quiet machine has less, a busier one more: only `bench validate` measures yours.
ASSUMED_SD = 0.03  # standard deviation of a side, as a share of its step time


@dataclass(frozen=True)
class Limits:
    """The largest changes for the worse that are allowed.

    Attributes:
        max_regression: share by which a step may take longer, such as 0.05.
        rmse_margin: by how much the test RMSE may rise. Training from other seeds moves the tutorial's by
            0.0027 (standard deviation of 25), which cancels where both sides have the same seeds; rounding moves it by
            some 0.0001 (`bench.parity.numpy_process`).

    Raises:
        BenchError: a limit is negative or not finite.
    """

    max_regression: float = 0.05
    rmse_margin: float = 0.001

    def __post_init__(self) -> None:
        for name, value in (("max-regression", self.max_regression), ("rmse-margin", self.rmse_margin)):
            if not (math.isfinite(value) and value >= 0):
                raise BenchError(f"--{name} must be 0 or more; received {value}. Give for example 5%.")


@dataclass(frozen=True)
class Allowances:
    """Differences between the two sides, and noise, in spite of which a verdict is given.

    Attributes:
        force: compare step times even where workload, machine or threads differ.
        ignore_noise: decide even where a side was disturbed (`bench.comparison.disturbance`).
        drift: drift of the machine between two measurements, `bench.comparison.drift.ASSUMED` if None; left out where
            processes of both sides took turns, and of a cell or a file beside itself.
    """

    force: bool = False
    ignore_noise: bool = False
    drift: Drift | None = None


USUAL_LIMITS = Limits()
NO_ALLOWANCES = Allowances()
