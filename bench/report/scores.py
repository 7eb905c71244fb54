"""Scores of a model: the RMSE of the built-in workload, or the metric that a custom workload names."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.schema.cell import Cell
from bench.schema.run import Run, Workload
from bench.statistics import intervals

SHOWN = {"rmse": "RMSE"}

METRIC_SHARE = 0.004  # of a custom workload's metric may be lost; of the tutorial's RMSE, the margin is as large


def metric_label(workload: Workload) -> str:
    """Return what to call the workload's metric: `RMSE`, `accuracy`."""
    return SHOWN.get(workload.metric, workload.metric)


def seed_scores(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Return each cell's final test score by seed, the mean where several processes trained the same seed.

    Only runs that are `ok` count: one that broke off cannot vouch for its model.
    """
    values: dict[Cell, dict[int, list[float]]] = {}
    for run in runs:
        if run.status == "ok" and run.test_score is not None and math.isfinite(run.test_score):
            values.setdefault(run.cell, {}).setdefault(run.seed, []).append(run.test_score)
    return {
        cell: {seed: intervals.mean(several).value for seed, several in sorted(seeds.items())}
        for cell, seeds in values.items()
    }
