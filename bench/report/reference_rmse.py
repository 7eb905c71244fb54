"""Final test RMSE beside the float64 oracle's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.schema.cell import Cell
from bench.schema.derived import ReferenceRmse
from bench.statistics import intervals
from bench.statistics.intervals import Interval


def reference_rmse(by_seed: Mapping[Cell, Mapping[int, float]], reference: Mapping[int, float]) -> list[ReferenceRmse]:
    """Compare each cell's final test RMSE with the oracle's.

    Args:
        by_seed: final test RMSE of each cell by seed, as `bench.report.scores.seed_scores` returns it.
        reference: final RMSE of the oracle on the same test part, by seed.

    Returns:
        A record for each cell that trained a seed which the oracle trained too, in the order of `by_seed`.

    Raises:
        ValueError: an RMSE is not finite.
    """
    common = {cell: sorted(values.keys() & reference.keys()) for cell, values in by_seed.items()}
    return [_reference_rmse(cell, by_seed[cell], reference, seeds) for cell, seeds in common.items() if seeds]


def _reference_rmse(
    cell: Cell, values: Mapping[int, float], reference: Mapping[int, float], seeds: Sequence[int]
) -> ReferenceRmse:
    mean = intervals.mean([values[seed] for seed in seeds]).value
    difference = intervals.mean([values[seed] - reference[seed] for seed in seeds])
    scores = list(reference.values())
    expected = _expected_mean(scores, len(seeds))
    return ReferenceRmse(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        mean=mean,
        difference=difference.value,
        ci95=difference.ci95,
        seeds=len(seeds),
        reference_mean=intervals.mean(scores).value,
        reference_sd=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        reference_seeds=len(scores),
        reference_95=expected,
        verdict=None if expected is None else "within" if expected[0] <= mean <= expected[1] else "outside",
    )


def _expected_mean(scores: Sequence[float], samples: int) -> Interval | None:
    """Return where the mean of so many new samples lies in 95 % of cases, by Student's t."""
    estimate = intervals.mean(scores)
    if estimate.ci95 is None:
        return None
    # The variance of the difference of both means is s² (1/m + 1/n), that of the mean alone s²/m.
    half = (estimate.ci95[1] - estimate.value) * math.sqrt(1 + len(scores) / samples)
    return estimate.value - half, estimate.value + half
