"""A difference of two means, its interval at any confidence, and the number of processes that would decide it.

Where several intervals are shown together, each is taken at 1 - 0.05/m, m being their number, so that all of
them hold their true value at once in at least 95 % of comparisons (Bonferroni; Dunn, "Multiple Comparisons
Among Means", JASA 56, 1961). Unlike Holm's steps this gives intervals that agree with the verdicts, and unlike
Šidák's formula it does not need independence: interleaved cells share what happened on their machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.statistics.intervals import CONFIDENCE, FloatArray, Interval

MOST_PROCESSES = 100  # on either side; nobody waits for more


@dataclass(frozen=True)
class Contrast:
    """The estimate of a difference, before a confidence is chosen.

    Attributes:
        value: the estimate.
        variances: variance of the single samples on each side; one value where samples were paired.
        samples: number of samples on each side.
        shared_variance: part of the estimate's variance that all samples of a side share, whatever their number.
        shared_freedom: degrees of freedom of `shared_variance`; infinite where it is known.
    """

    value: float
    variances: FloatArray
    samples: tuple[int, ...]
    shared_variance: float = 0.0
    shared_freedom: float = math.inf

    @property
    def has_interval(self) -> bool:
        """Whether every side has the two samples that an interval needs."""
        return min(self.samples) > 1

    def interval(self, confidence: float) -> Interval | None:
        """Return the interval (Student's t; with two sides Welch's); None where a side has one sample."""
        if not self.has_interval:
            return None
        (half,) = self._half_widths(np.array([self.samples], np.float64), confidence)
        return self.value - half, self.value + half

    def samples_needed(self, decides: Callable[[Interval], bool], confidence: float) -> int | None:
        """Return the smallest number of samples a side whose expected interval decides.

        The estimate and the variances are taken as true, so with that number the odds to decide are about even. From
        three samples or so it is a rough guess. A side that has more samples keeps them.

        Returns:
            The number; `MOST_PROCESSES` + 1 where more than `MOST_PROCESSES` are needed; None where a side has only one
            sample and hence no variance.
        """
        if not self.has_interval:
            return None
        wanted = np.arange(min(self.samples) + 1, MOST_PROCESSES + 1)
        sides = np.maximum(wanted[:, None], np.array(self.samples)).astype(np.float64)
        for number, half in zip(wanted, self._half_widths(sides, confidence), strict=True):
            if decides((self.value - half, self.value + half)):
                return int(number)
        return MOST_PROCESSES + 1

    def ever_decides(self, decides: Callable[[Interval], bool], confidence: float) -> bool:
        """Return whether the interval of endless samples, as wide as `shared_variance` alone makes it, decides."""
        if not self.has_interval:
            return True
        (half,) = self._half_widths(np.full((1, len(self.samples)), np.inf), confidence)
        return decides((self.value - half, self.value + half))

    def _half_widths(self, samples: FloatArray, confidence: float) -> list[float]:
        """Return half an interval's width for each row of sample counts, shape (rows, sides)."""
        # SciPy takes 0.2 s to import, and comparisons without an interval never come here.
        from scipy.special import stdtrit

        errors = np.sqrt(self.variances / samples)
        shared = math.sqrt(self.shared_variance)
        error = np.hypot(np.hypot.reduce(errors, axis=1), shared)
        # As shares of the whole error, since the textbook's fourth powers underflow for small errors.
        whole = np.where(error > 0, error, 1.0)
        shares = errors / whole[:, None]
        inverse = (shares**4 / (samples - 1)).sum(axis=1) + (shared / whole) ** 4 / self.shared_freedom
        freedom = 1 / np.maximum(inverse, 1e-12)
        return [float(half) for half in stdtrit(freedom, 0.5 + confidence / 2) * error]


def unpaired(new: npt.ArrayLike, base: npt.ArrayLike) -> Contrast:
    """Return the contrast mean(new) - mean(base) of independent samples."""
    a, b = np.asarray(new, np.float64), np.asarray(base, np.float64)
    return Contrast(float(a.mean() - b.mean()), np.array([_variance(a), _variance(b)]), (a.size, b.size))


def paired(new: npt.ArrayLike, base: npt.ArrayLike) -> Contrast:
    """Return the contrast mean(new[i] - base[i]) of paired samples."""
    differences = np.asarray(new, np.float64) - np.asarray(base, np.float64)
    return Contrast(float(differences.mean()), np.array([_variance(differences)]), (differences.size,))


def each_of(comparisons: int) -> float:
    """Return the confidence of each of several intervals that are to hold together at 95 %."""
    return 1 - (1 - CONFIDENCE) / max(comparisons, 1)


def _variance(samples: FloatArray) -> float:
    return float(samples.var(ddof=1)) if samples.size > 1 else math.nan
