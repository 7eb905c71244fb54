"""Intervals for step times and RMSE, with the worker process (or the seed) as the unit.

Rounds scatter around the speed of their own process, while identical processes differ for their whole life, by up
to tens of percent, so an interval over the rounds of one process would be far too narrow. Each process gives one
number, the median of its rounds, and the interval is Student's t on the logarithms of those numbers.

docs/method.md, "Simulated intervals", compares this with a hierarchical bootstrap and with processes in two modes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
LARGEST_LOG = math.log(sys.float_info.max)

Interval = tuple[float, float]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, which always contains the value.

    Attributes:
        value: the estimate, in the unit of the samples.
        ci95: lower and upper end of the interval; None where too few samples allow none.
    """

    value: float
    ci95: Interval | None


def process_median(step_time_ms: Sequence[float]) -> float:
    """Return the median round of one process, in ms.

    Raises:
        ValueError: there is no round, or one is not finite and positive.
    """
    return float(np.median(_positive(step_time_ms)))


def mean(samples: Sequence[float]) -> Estimate:
    """Return the mean with Student's t interval; one sample has no interval.

    Raises:
        ValueError: there is no sample, or one is not finite.
    """
    return _mean(_finite(samples))


def typical(process_medians: Sequence[float]) -> Estimate:
    """Return the geometric mean over processes with the t interval of the logarithms; one process has no interval.

    Raises:
        ValueError: there is no process, or a median is not finite and positive.
    """
    return _exponential(_mean(np.log(_positive(process_medians))))


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Return the geometric mean of a[i] / b[i] with the t interval of its logarithm; one pair has no interval.

    Processes of equal index ran side by side, so that effects of the machine on both cancel.

    Raises:
        ValueError: there is no pair, the lengths differ, or a median is not finite and positive.
    """
    return _exponential(_mean(_paired(np.log(_positive(a)), np.log(_positive(b)))))


def _finite(samples: Sequence[float]) -> FloatArray:
    array = np.asarray(samples, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("at least one sample is needed; received none")
    if not np.isfinite(array).all():
        raise ValueError(f"samples must be finite; received {array[~np.isfinite(array)][0]}")
    return array


def _positive(samples: Sequence[float]) -> FloatArray:
    array = _finite(samples)
    if (array <= 0).any():
        raise ValueError(f"samples must be positive; received {array[array <= 0][0]}")
    return array


def _paired(a: FloatArray, b: FloatArray) -> FloatArray:
    if a.size != b.size:
        raise ValueError(f"pairs need as many samples on either side; received {a.size} and {b.size}")
    return a - b


def _mean(samples: FloatArray) -> Estimate:
    value = float(samples.mean())
    if samples.size < 2:
        return Estimate(value, None)
    error = float(samples.std(ddof=1)) / math.sqrt(samples.size)
    return _around(value, error, samples.size - 1)


def _around(value: float, error: float, freedom: float) -> Estimate:
    # SciPy takes 0.2 s to import, and commands that only read a report never come here.
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    return Estimate(value, (value - half, value + half))


def _exponential(estimate: Estimate) -> Estimate:
    def exp(value: float) -> float:
        return math.exp(min(value, LARGEST_LOG))

    ends = estimate.ci95
    return Estimate(exp(estimate.value), None if ends is None else (exp(ends[0]), exp(ends[1])))
