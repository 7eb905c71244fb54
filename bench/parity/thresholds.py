"""When a distance is more than rounding: the threshold drawn from a rounding envelope, and how sure it is.

At each stage the distances between the float64 oracle and its float32 copies (`bench.parity.numpy_process`) are a small
sample of what rounding does. The threshold is the upper end of a prediction interval for one more distance, at level
1 - FALSE_ALARMS / comparisons (Bonferroni): if every backend were correct, at most one report in a hundred would hold
any `outside`.

Arrays and rankings: the logarithm of a distance is taken as normal. With n trainings, m and s the mean and standard
deviation of the logarithms,

    threshold = exp(m + t s' sqrt(1 + 1/n))    s'^2 = (d0 s0^2 + (n - 1) s^2) / (d0 + n - 1)

where t is the quantile of Student's t with d0 + n - 1 degrees of freedom. s' is the moderated standard deviation of
Smyth (2004), "Linear models and empirical Bayes methods for assessing differential expression", section 3: seven
trainings alone say too little about s, so it is drawn towards what is typical. Smyth's moment estimates on 25 stages of
predictions on MovieLens 100K (five seeds, five epochs, eleven trainings each) are d0 = 13 and s0 = 0.36; the constants
below err to the wide side. The prior also keeps the `forward` stage, where copies differ by 2 % only, from refusing a
backend that merely sums in blocks of another size.

The logarithms are not normal where a relu may open or close in some copies and not in others: distances of two sizes
far apart scatter so much that the interval would end where nothing is outside. So no threshold is above `CAP` times the
largest distance of the envelope. A flip by rounding is one of the few nearest to zero, which the copies that flip at
once have been given (`bench.parity.numpy_oracle`), so one more training lies about as far away as the furthest of them.
docs/reproductions/threshold_cap.py measures by how far, and docs/parity.md says what it found.

Single values (the loss, the last bias, the RMSE): the signed difference is taken as normal around zero, since the
logarithm of one number's distance has no lower end. Of the RMSE, the standard deviation is moderated in the same way
towards a share of the typical distance of the last predictions: 0.22 in the mean square of the five seeds above, 0.15
to 0.30 for each. Copies whose RMSEs happen to agree would otherwise refuse a correct backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from bench.schema.parity import Judge, StageEnvelope

FALSE_ALARMS = 0.01
PRIOR_DEGREES = 10.0
PRIOR_LOG_SD = 0.4
PRIOR_RMSE_SHARE = 0.25
CAP, NO_CAP = 10.0, float("inf")
BACKEND_AT_MOST = 10.0  # a limit from a cell's own rounding, in times of the oracle's


def thresholds(envelope: Sequence[StageEnvelope], comparisons: int, cap: float = CAP) -> dict[str, float]:
    """Return the largest distance that rounding explains, in the unit of the stage, by stage.

    Args:
        envelope: the stages in the order of training.
        comparisons: distances that are judged together.
        cap: most that a threshold may be, in times of the largest distance; `NO_CAP` in versions that had none.
    """
    level = 1 - FALSE_ALARMS / comparisons
    limits: dict[str, float] = {}
    last: StageEnvelope | None = None
    for stage in envelope:
        prior = None
        if stage.stage == "rmse" and last is not None:
            prior = float(PRIOR_RMSE_SHARE * np.exp(_logarithms(last)[0])) ** 2
        if stage.values == 1:
            limits[stage.stage] = _of_one_value(stage, level, prior)
        else:
            limits[stage.stage] = min(_lognormal(stage, level), cap * max(*stage.rms, stage.resolution))
        if stage.stage.startswith("epoch "):
            last = stage
    return limits


def typical(stage: StageEnvelope) -> float:
    """Return the typical distance of two trainings: as the thresholds take it, without their allowance for scatter."""
    if stage.values == 1:
        return float(np.sqrt(np.mean(np.square(np.maximum(stage.rms, stage.resolution)))))
    return float(np.exp(_logarithms(stage)[0]))


def _logarithms(stage: StageEnvelope) -> tuple[float, float]:
    logs = np.log(np.maximum(stage.rms, stage.resolution))
    return float(np.mean(logs)), float(np.var(logs, ddof=1))


def _moderated(variance: float, degrees: int, prior: float) -> tuple[float, float]:
    total = PRIOR_DEGREES + degrees
    return (PRIOR_DEGREES * prior + degrees * variance) / total, total


def _lognormal(stage: StageEnvelope, level: float) -> float:
    mean, variance = _logarithms(stage)
    moderated, degrees = _moderated(variance, stage.trainings - 1, PRIOR_LOG_SD**2)
    return float(np.exp(mean + stdtrit(degrees, level) * np.sqrt(moderated * (1 + 1 / stage.trainings))))


def _of_one_value(stage: StageEnvelope, level: float, prior: float | None) -> float:
    # The mean square of all pairs' differences estimates twice the variance of one training's value.
    squares, degrees = float(np.mean(np.square(np.maximum(stage.rms, stage.resolution)))), float(stage.trainings - 1)
    if prior is not None:
        squares, degrees = _moderated(squares, stage.trainings - 1, prior)
    # Both tails count, since the sign of a difference is not judged.
    return float(stdtrit(degrees, (1 + level) / 2) * np.sqrt(squares))


@dataclass(frozen=True)
class Limit:
    """The largest distance that rounding explains, in the unit of the stage, and whose rounding that is."""

    rms: float
    judged_by: Judge


class Drawn:
    """The thresholds of several envelopes where all distances are judged together; each envelope's are drawn once.

    Args:
        comparisons, cap: as for `thresholds`.
    """

    def __init__(self, comparisons: int, cap: float = CAP) -> None:
        self._comparisons = comparisons
        self._cap = cap
        self._found: dict[int, tuple[Sequence[StageEnvelope], Mapping[str, float]]] = {}

    def of(self, envelope: Sequence[StageEnvelope]) -> Mapping[str, float]:
        """Return the thresholds of an envelope by stage."""
        if id(envelope) not in self._found:
            self._found[id(envelope)] = envelope, thresholds(envelope, self._comparisons, self._cap)
        return self._found[id(envelope)][1]
