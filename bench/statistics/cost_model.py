"""The cost of a training step as something grows: a fixed and a proportional part, fitted to a curve.

    step time = fixed + slope × size

Size is the batch size, the tables' rows or the width; for threads it is one over their number (Amdahl's law). Both
terms are times, so they cannot be negative. A curve over four decades is fitted well only if an error of 10 % counts
the same at either end. So the fit is non-negative least squares (Lawson & Hanson, 1974) of relative errors. Errors
relative to the measured times would favour points that came out fast by chance, so they are taken relative to the fit,
in a few iterations.

Intervals are Student's t with the scatter of the points about the line, which holds noise and misfit alike. A wrong
model has no right intervals: `fits` is False where the points lie further off than `LARGEST_ERROR`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.schema.record import Record
from bench.statistics.intervals import CONFIDENCE, FloatArray, Interval

FEWEST_POINTS = 3  # two terms go through any two points
LARGEST_ERROR = 0.15  # identical processes differ by some 10 % for life, so less does not show another law
TURNS = 20


class Term(Record, frozen=True, kw_only=True):
    """One term of the model.

    Attributes:
        value: value of the term in ms, or in ms per unit of size.
        ci95: 95 % interval of the value, not below 0.
    """

    value: float
    ci95: Interval


class CostModel(Record, frozen=True, kw_only=True):
    """A curve in two terms.

    Attributes:
        fixed: time of every step, in ms.
        slope: time per unit of size, in ms.
        typical_error: root mean square of (measured - fitted) / fitted, with one degree of freedom subtracted for each
            term.
        largest_error: largest absolute value of (measured - fitted) / fitted.
        fits: whether `typical_error` is at most `LARGEST_ERROR`; otherwise the terms mean little.
        points: number of sizes that were fitted.
    """

    fixed: Term
    slope: Term
    typical_error: float
    largest_error: float
    fits: bool
    points: int

    @property
    def crossover(self) -> float | None:
        """The size at which either term is half of a step; None where one of them is zero."""
        return self.fixed.value / self.slope.value if self.fixed.value > 0 and self.slope.value > 0 else None

    def at(self, size: float) -> float:
        """Return the fitted step time in ms."""
        return self.fixed.value + self.slope.value * size


def fit_cost(sizes: Sequence[float], step_time_ms: Sequence[float]) -> CostModel | None:
    """Fit the model to one curve.

    Args:
        sizes: positive sizes.
        step_time_ms: positive step time of each size, in ms.

    Returns:
        None with fewer than `FEWEST_POINTS` different sizes.

    Raises:
        ValueError: a number is not finite and positive, or the lengths differ.
    """
    x, t = np.asarray(sizes, np.float64), np.asarray(step_time_ms, np.float64)
    if x.shape != t.shape or not np.all(np.isfinite([x, t])) or not np.all(np.stack([x, t]) > 0):
        raise ValueError("sizes and step times must be positive, finite and equal in number")
    if len(np.unique(x)) < FEWEST_POINTS:
        return None
    unit = float(np.exp(np.log(x).mean()))  # keeps both columns of similar size, so that the matrix is well conditioned
    design = np.stack([np.ones_like(x), x / unit], axis=1)
    terms, fitted = _fit(design, t)
    errors = (t - fitted) / fitted
    freedom = len(t) - design.shape[1]
    typical = math.sqrt(float(errors @ errors) / freedom)
    fixed, slope = _terms(design / fitted[:, None], t / fitted, terms, typical, freedom)
    return CostModel(
        fixed=fixed,
        slope=Term(value=slope.value / unit, ci95=(slope.ci95[0] / unit, slope.ci95[1] / unit)),
        typical_error=typical,
        largest_error=float(np.abs(errors).max()),
        fits=typical <= LARGEST_ERROR,
        points=len(t),
    )


def _fit(design: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the terms and the fitted times, with errors weighted by the fit of the previous iteration."""
    from scipy.optimize import nnls  # takes a third of a second to import

    fitted = t
    for _ in range(TURNS):
        terms, _ = nnls(design / fitted[:, None], t / fitted)
        before, fitted = fitted, design @ terms
        if np.allclose(before, fitted, rtol=1e-9):
            break
    return terms, fitted


def _terms(design: FloatArray, t: FloatArray, terms: FloatArray, error: float, freedom: int) -> list[Term]:
    """Return the terms with the intervals of ordinary least squares, cut at 0 and widened to hold the terms."""
    from scipy.special import stdtrit

    free = np.linalg.lstsq(design, t, rcond=None)[0]
    spread = error * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * spread
    low, high = np.clip(free - half, 0, None), np.clip(free + half, 0, None)
    return [
        Term(value=float(value), ci95=(min(float(a), float(value)), max(float(b), float(value))))
        for value, a, b in zip(terms, low, high, strict=True)
    ]
