"""Find from which report on a step takes longer or shorter: change points in a short series with known scatter.

The logarithms of the step times are cut into segments of one level each, such that the weighted squares around
the levels plus a penalty for each change are least: optimal partitioning, whose optimum PELT finds too (Killick,
Fearnhead & Eckley, "Optimal Detection of Changepoints With a Linear Computational Cost", JASA 107, 2012).

Scatter. A report of n processes has variance s²/n + t². s² is the variance between the processes of a report, pooled
over all reports. t² is the further variance between whole reports, such as that of a busy neighbour: half the mean
square of successive differences, without the largest 15 % of them so that changes do not count, minus the mean s²/n. In
a short series one change still shows in that estimate. Where less variance is left around the best single change, that
smaller variance counts. The best of m places takes some 2 ln m from the squares of a steady series, so these degrees of
freedom are taken from m - 1.

Penalty. A series of n reports has n - 1 places for a change. The penalty is the square of Student's t at
1 - 0.05 / 2(n - 1) (Bonferroni), at the degrees of freedom of the scatter (Satterthwaite; n - 1 for t²).

A report that stands alone is not a change: each is pulled to within 1.5 standard deviations of the median of itself and
its two neighbours, and every level rests on two reports or more.

docs/method.md, "Simulated change points", has the shares of false alarms and of found steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.statistics.intervals import FloatArray

FALSE_ALARMS = 0.05  # largest share of steady series in which a change is marked
FEWEST_REPORTS = 4
SHORTEST_LEVEL = 2
STRAY = 1.5  # standard deviations that a single report may lie off its neighbours
KEPT = 0.85  # share of successive differences, the smallest, that the scatter between reports is estimated from
SMALLEST = 1e-18  # variance of values that are equal to the last digit


@dataclass(frozen=True)
class Level:
    """The reports between two changes.

    Attributes:
        start: index of the first report.
        stop: index after the last report.
        ms: typical step time of these reports, in the unit of the series.
    """

    start: int
    stop: int
    ms: float


def levels(reports: Sequence[Sequence[float]]) -> list[Level]:
    """Return the levels of a series in order of time, with a change between every two neighbours.

    Args:
        reports: process medians of each report in order of time, positive, at least one a report.
    """
    logs = [np.log(medians) for medians in reports]
    values = np.array([each.mean() for each in logs])
    if len(values) < FEWEST_REPORTS:
        return [Level(0, len(values), math.exp(values.mean()))] if len(values) else []
    spread = _trimmed_mean_square(np.diff(values)) / 2
    calm = _without_strays(values, _scatter(logs, spread)[0])
    variances, freedom = _scatter(logs, min(spread, _spread_around_a_change(calm)))
    starts = [0, *_cuts(calm, variances, _penalty(len(values), freedom))]
    return [
        Level(start, stop, math.exp(np.average(calm[start:stop], weights=1 / variances[start:stop])))
        for start, stop in zip(starts, [*starts[1:], len(values)], strict=True)
    ]


def _scatter(logs: Sequence[FloatArray], spread: float) -> tuple[FloatArray, float]:
    """Return each report's variance and the degrees of freedom of that estimate.

    Args:
        logs: logarithms of the process medians of each report.
        spread: variance of a report's value, including the scatter of its processes.
    """
    counts = np.array([len(each) for each in logs])
    within = int((counts - 1).sum())
    pooled = sum(float(np.square(each - each.mean()).sum()) for each in logs) / within if within else 0.0
    of_processes = pooled / counts
    typical = float(of_processes.mean())
    between = max(0.0, spread - typical)
    total = typical + between
    if total < SMALLEST:
        return np.full(len(logs), SMALLEST), float(len(logs) - 1)
    # As shares of the total: squares of small variances underflow.
    uncertainty = (typical / total) ** 2 / within if within else 0.0
    uncertainty += (between / total) ** 2 / (len(logs) - 1)
    return of_processes + between, 1 / uncertainty


def _spread_around_a_change(values: FloatArray) -> float:
    """Return the variance of values around two levels, for the place of the change that leaves the least."""
    freedom = len(values) - 1 - 2 * math.log(len(values))  # the largest of n normal squares is some 2 ln n
    squares = [
        sum(float(np.square(side - side.mean()).sum()) for side in (values[:place], values[place:]))
        for place in range(SHORTEST_LEVEL, len(values) - SHORTEST_LEVEL + 1)
    ]
    return min(squares) / freedom


def _trimmed_mean_square(differences: FloatArray) -> float:
    """Return the mean square of normal values around 0, estimated from the smallest of them."""
    from scipy.special import ndtri

    squares = np.sort(np.square(differences))
    kept = math.ceil(KEPT * len(squares))
    share = kept / len(squares)
    if share == 1:
        return float(squares.mean())
    # The mean square of a standard normal value, given that it lies within ± end, is less than 1.
    end = float(ndtri((1 + share) / 2))
    expected = (share - 2 * end * math.exp(-end * end / 2) / math.sqrt(2 * math.pi)) / share
    return float(squares[:kept].mean()) / expected


def _penalty(reports: int, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - FALSE_ALARMS / (2 * (reports - 1)))) ** 2


def _without_strays(values: FloatArray, variances: FloatArray) -> FloatArray:
    # A report at either end is compared with its two nearest neighbours.
    padded = np.concatenate([values[2:3], values, values[-3:-2]])
    middle = np.median(np.stack([padded[:-2], values, padded[2:]]), axis=0)
    reach = STRAY * np.sqrt(variances)
    return np.clip(values, middle - reach, middle + reach)


def _cuts(values: FloatArray, variances: FloatArray, penalty: float) -> list[int]:
    """Return the first index of every level but the first, by dynamic programming over the start of the last level."""
    weights = 1 / variances
    centred = values - np.average(values, weights=weights)
    total, first, second = (
        np.concatenate([[0.0], np.cumsum(weights * centred**power)]) for power in range(3)
    )  # fmt: skip
    best = np.full(len(values) + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(len(values) + 1, np.intp)
    for stop in range(SHORTEST_LEVEL, len(values) + 1):
        start = np.arange(stop - SHORTEST_LEVEL + 1)
        squares = second[stop] - second[start] - (first[stop] - first[start]) ** 2 / (total[stop] - total[start])
        costs = best[start] + squares + penalty
        previous[stop] = int(np.argmin(costs))
        best[stop] = costs[previous[stop]]
    found = []
    stop = int(previous[len(values)])
    while stop > 0:
        found.append(stop)
        stop = int(previous[stop])
    return found[::-1]
