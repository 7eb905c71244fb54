"""How often a step in a short series of reports is marked, beside the best that any test could do.

    python docs/reproductions/change_point_power.py [REPORTS [STEP [SERIES]]]

Simulates series of so many reports (10) with a step of so much (0.1) in the middle, and as many without one. The rule
is `bench.statistics.change_points.levels`; it hits where it marks a change within one report of the step. The tests
beside it are likelihood-ratio tests at the rule's own share of false alarms. One knows the place of the step and the
scatter, so no test can be better (Neyman and Pearson); others must find the place, the scatter, or both, as the rule
must.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from bench.statistics.change_points import SHORTEST_LEVEL, levels
from bench.statistics.intervals import FloatArray

PROCESSES, SD = 3, 0.03  # of a report; of its value, the mean over its processes
CASES = {"processes scatter": (SD * PROCESSES**0.5, 0.0), "reports scatter": (0.0, SD)}

reports, step, count = [*map(float, sys.argv[1:4]), *(10, 0.1, 2000)[len(sys.argv[1:4]) :]]
size, at, number = int(reports), int(reports) // 2, int(count)
places = np.arange(SHORTEST_LEVEL, size - SHORTEST_LEVEL + 1)


def simulated(rng: np.random.Generator, process_sd: float, report_sd: float, jump: float) -> FloatArray:
    """Return the logarithms of simulated step times, [series, report, process]."""
    level = np.where(np.arange(size) < at, 0.0, np.log1p(jump)) + rng.normal(0, report_sd, (number, size))
    return level[:, :, None] + rng.normal(0, process_sd, (number, size, PROCESSES))


def differences(logs: FloatArray, *, known_scatter: bool) -> FloatArray:
    """Return how many standard errors the levels before and after each place are apart, [series, place]."""
    values = logs.mean(axis=2)
    found = []
    for place in places:
        before, after = values[:, :place], values[:, place:]
        apart = np.abs(after.mean(axis=1) - before.mean(axis=1))
        around = [np.square(side - side.mean(axis=1, keepdims=True)).sum(axis=1) for side in (before, after)]
        variance = SD**2 if known_scatter else sum(around) / (size - 2)
        found.append(apart / np.sqrt(variance * (1 / place + 1 / (size - place))))
    return np.stack(found, axis=1)


def at_the_step(apart: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the statistic of a test that knows the place, and whether it has the place right."""
    return apart[:, at - SHORTEST_LEVEL], np.ones(len(apart), bool)


def wherever(apart: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the statistic of a test that must find the place, and whether it has the place right."""
    return apart.max(axis=1), np.abs(places[apart.argmax(axis=1)] - at) <= 1


def marked_by_rule(logs: FloatArray) -> list[list[int]]:
    """Return where the rule marks changes in each series."""
    return [[level.start for level in levels(np.exp(series).tolist())[1:]] for series in logs]


TESTS: dict[str, tuple[bool, Callable[[FloatArray], tuple[FloatArray, FloatArray]]]] = {
    "place and scatter known": (True, at_the_step),
    "place known": (False, at_the_step),
    "scatter known": (True, wherever),
    "neither known": (False, wherever),
}

for name, scatter in CASES.items():
    generator = np.random.default_rng(0)
    steady, stepped = simulated(generator, *scatter, 0.0), simulated(generator, *scatter, step)
    alarms = np.mean([bool(marks) for marks in marked_by_rule(steady)])
    hits = np.mean([any(abs(mark - at) <= 1 for mark in marks) for marks in marked_by_rule(stepped)])
    print(f"{name}, {size} reports, +{step:.0%}: the rule marks {hits:.0%}, and {alarms:.1%} of steady series")
    for test, (known_scatter, statistic) in TESTS.items():
        limit = np.quantile(statistic(differences(steady, known_scatter=known_scatter))[0], 1 - alarms)
        found, right = statistic(differences(stepped, known_scatter=known_scatter))
        print(f"  {test}: {np.mean((found > limit) & right):.0%}")
