"""How far apart two trainings are at every stage that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.parity.rankings import Index, Rankings, disagreement
from bench.parity.stages import BIAS_TRACE, Values
from bench.report.predictions import MOST_STORED
from movierank.data.splits import Split

Float64Array = npt.NDArray[np.float64]

TAU, TOP_10 = "ranking tau", "ranking top-10"


@dataclass(frozen=True)
class TestPart:
    """What the stored predictions are predictions of.

    Attributes:
        user_id: int32 [N].
        label: float32 [N].
        index: index of each user's ratings.
    """

    __test__ = False  # not for pytest

    user_id: npt.NDArray[np.integer[Any]]
    label: npt.NDArray[np.floating[Any]]
    index: Index

    @classmethod
    def of(cls, user_id: npt.NDArray[np.integer[Any]], label: npt.NDArray[np.floating[Any]]) -> TestPart:
        """Index the users."""
        return cls(user_id, label, Index.of(user_id))

    @classmethod
    def stored(cls, split: Split) -> TestPart:
        """Return the part of a test part whose predictions are stored."""
        test = split.test.take(slice(0, MOST_STORED))
        return cls.of(test.user_id, test.label)


@dataclass(frozen=True, eq=False)
class Training:
    """The values of one training by stage, in the order of training, and its rankings after the last epoch.

    Attributes:
        values: float64, with `rmse` where the last epoch's predictions are there and `test` is given.
        rankings: None where `rmse` is missing.
        test: what the predictions are predictions of; None for a custom workload, which has no users to rank for.
        epochs: number of the last epoch.
    """

    values: Mapping[str, Float64Array]
    rankings: Rankings | None
    test: TestPart | None
    epochs: int

    @classmethod
    def of(
        cls, values: Mapping[str, npt.NDArray[np.floating[Any]]], test: TestPart | None = None, epochs: int = 0
    ) -> Training:
        """Derive the RMSE and the rankings from the predictions after the last of `epochs`."""
        stages = {stage: np.asarray(array, np.float64) for stage, array in values.items()}
        last = stages.get(f"epoch {epochs}")
        if test is None or last is None:
            return cls(stages, None, test, epochs)
        rmse, _ = distance(last, test.label)
        return cls({**stages, "rmse": np.array([rmse])}, Rankings.of(last, test.index), test, epochs)

    def corrected(self, truth: Values, centre: Values | None) -> Training:
        """Return this training less `truth` plus `centre`, at the stages of `truth`; None for a centre of zeros."""
        common = [stage for stage in self.values if stage in truth]
        moved = {
            stage: self.values[stage] - truth[stage] + (0 if centre is None else centre[stage]) for stage in common
        }
        return Training.of(moved, self.test, self.epochs)


@dataclass(frozen=True)
class Distance:
    """Two trainings at one stage.

    Attributes:
        rms: root mean square of the differences.
        max_abs: the largest difference.
        where: index of the largest difference, for an array of a weight's shape.
    """

    rms: float
    max_abs: float
    where: tuple[int, ...] | None = None

    @property
    def finite(self) -> bool:
        """Whether both trainings' values are numbers."""
        return bool(np.isfinite(self.rms) and np.isfinite(self.max_abs))

    def within(self, limit: float) -> bool:
        """Return whether the distance is a number of at most `limit`."""
        return self.finite and self.rms <= limit


def distance(a: npt.NDArray[np.floating[Any]], b: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the root mean square and the largest |difference| of two arrays, computed in float64."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float(np.sqrt(np.mean(np.square(difference)))), float(np.max(np.abs(difference)))


def distances(a: Training, b: Training) -> dict[str, Distance]:
    """Return the distances at all common stages, in the order of `a`."""
    found = {}
    for stage, values in a.values.items():
        if stage in b.values and stage != BIAS_TRACE:
            found[stage] = _distance(stage, values, b.values[stage])
    if a.rankings is not None and b.rankings is not None:
        apart = disagreement(a.rankings, b.rankings)
        for stage, share in ((TAU, apart.tau), (TOP_10, apart.top10)):
            if share is not None:
                found[stage] = Distance(share, share)
    return found


def _distance(stage: str, a: Float64Array, b: Float64Array) -> Distance:
    rms, max_abs = distance(a, b)
    if "/" not in stage or not np.isfinite(max_abs):
        return Distance(rms, max_abs)
    return Distance(rms, max_abs, tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(a - b)), a.shape)))


def size_of(values: Values | Mapping[str, Float64Array], stage: str) -> float:
    """Return the root mean square of the values at a stage."""
    return float(np.sqrt(np.mean(np.square(values[stage]))))
