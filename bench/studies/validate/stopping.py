"""Do intervals hold where a measurement ends because they are narrow? Simulated pairs, whose true ratio is known.

An interval is also narrow where its pairs agree by chance, and ending there keeps what is too narrow. Such a rule holds
what it promises in the limit of many samples only (Chow and Robbins, "On the Asymptotic Theory of Fixed-Width
Sequential Confidence Intervals for the Mean", Annals of Mathematical Statistics 36, 1965).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from bench.measure.asked import VERSUS_PRECISION
from bench.measure.design import FEWEST_NARROW
from bench.schema.record import Record
from bench.statistics.intervals import CONFIDENCE, FloatArray

ROUNDS, ROUND_SD = 5, 0.02
SIMULATED = [(pair_sd, most) for pair_sd in (0.02, 0.03, 0.04, 0.07) for most in (20, 40)]
MEASUREMENTS = 10_000


class Stopped(Record, frozen=True, kw_only=True):
    """Coverage of the 95 % interval of a ratio, over simulated measurements that end by the rule of `bench versus`.

    Attributes:
        pair_sd: scatter of the ratio between pairs of processes, as a share.
        most: pairs that there is time for.
        rounds: of a process.
        round_sd: scatter between rounds, as a share.
        precision: half of an interval that is narrow enough, as a share.
        pairs: how many were measured, the median.
        coverage: share of the intervals that held the true ratio.
        measurements: simulated.
    """

    pair_sd: float
    most: int
    rounds: int
    round_sd: float
    precision: float
    pairs: int
    coverage: float
    measurements: int


@functools.cache
def simulate_stopping() -> tuple[Stopped, ...]:
    """Return a row for each of `SIMULATED`; this takes a second, and always returns the same."""
    return tuple(stopped(pair_sd, most) for pair_sd, most in SIMULATED)


def stopped(pair_sd: float, most: int, *, measurements: int = MEASUREMENTS, seed: int = 0) -> Stopped:
    """Draw log-normal pairs with a true ratio of 1, end each measurement, and count the intervals that hold it.

    Args:
        pair_sd: scatter between pairs, as a share.
        most: pairs that there is time for; at least `FEWEST_NARROW`.
        measurements: to simulate.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    of_sides = (np.median(ROUND_SD * generator.standard_normal((ROUNDS, measurements, most)), axis=0) for _ in range(2))
    base, new = of_sides
    log_ratios = pair_sd * generator.standard_normal((measurements, most)) + new - base
    means, halves = running_intervals(log_ratios)
    pairs = pairs_at_stop(halves, VERSUS_PRECISION)
    at_stop = np.arange(measurements), pairs - 1
    return Stopped(
        pair_sd=pair_sd,
        most=most,
        rounds=ROUNDS,
        round_sd=ROUND_SD,
        precision=VERSUS_PRECISION,
        pairs=int(np.median(pairs)),
        coverage=float(np.mean(np.abs(means[at_stop]) <= halves[at_stop])),
        measurements=measurements,
    )


def running_intervals(log_ratios: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and half-width of `statistics.paired_ratio` on logarithms, after each pair of each measurement.

    Args:
        log_ratios: shape (measurements, pairs), as are both results; a single pair has an infinite half-width.
    """
    # SciPy takes 0.2 s to import, and commands that only read a report never come here.
    from scipy.special import stdtrit

    pairs = np.arange(1, log_ratios.shape[1] + 1)
    means = log_ratios.cumsum(axis=1) / pairs
    squares = np.square(log_ratios).cumsum(axis=1) - pairs * np.square(means)
    halves = np.full_like(means, math.inf)
    variances = np.maximum(squares[:, 1:], 0.0) / (pairs[1:] - 1)
    halves[:, 1:] = stdtrit(pairs[1:] - 1, 0.5 + CONFIDENCE / 2) * np.sqrt(variances / pairs[1:])
    return means, halves


def pairs_at_stop(halves: FloatArray, precision: float) -> npt.NDArray[np.int64]:
    """Return how many pairs each measurement has where `bench.measure.design.next_rounds` ends it, if none is lost.

    Args:
        halves: half-widths after each pair that there is time for, shape (measurements, pairs).
        precision: asked for.
    """
    narrow = halves <= math.log1p(precision)
    narrow[:, : FEWEST_NARROW - 1] = False
    narrow[:, -1] = True  # the budget has no time for another
    found: npt.NDArray[np.int64] = narrow.argmax(axis=1) + 1
    return found
