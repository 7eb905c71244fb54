"""The final test metric of each cell over seeds, whatever the workload calls it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bench.report.rounds import process_medians
from bench.schema.cell import Cell
from bench.schema.derived import MetricMean, Rmse
from bench.schema.report import Report
from bench.schema.run import Run, Workload
from bench.statistics import intervals

SHOWN = {"rmse": "RMSE"}

METRIC_SHARE = 0.004  # of a metric of the user's own may be lost; of the tutorial's RMSE, the margin is as large


def metric_label(workload: Workload) -> str:
    """Returns what to call the workload's metric: `RMSE`, `accuracy`."""
    return SHOWN.get(workload.metric, workload.metric)


def score_rows(report: Report) -> list[Rmse | MetricMean]:
    """Returns the final test score of each cell, whichever the report has."""
    return [*report.rmse, *report.metrics]


def seed_metric(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Return each cell's final test metric by seed, of a custom workload, as `seed_rmse` does of the built-in one."""
    return by_seed(
        (run, run.test_metric)
        for run in runs
        if run.status == "ok" and run.test_metric is not None and math.isfinite(run.test_metric)
    )


def seed_scores(report: Report) -> Mapping[Cell, Mapping[int, float]]:
    """Returns each cell's final test score by seed: the RMSE of the built-in workload, else the metric."""
    return seed_rmse(report.runs) if report.workload.workload is None else seed_metric(report.runs)


def metric_means(runs: Sequence[Run], workload: Workload) -> list[MetricMean]:
    """Return a record for each cell with a run that is `ok`, by step time as `bench.report.summary.summarise`."""
    scores = seed_metric(runs)
    medians = {cell: intervals.process_median(list(of.values())) for cell, of in process_medians(runs).items()}
    rows = []
    for cell in sorted(scores, key=lambda cell: (medians.get(cell, math.inf), cell)):
        estimate = intervals.mean(list(scores[cell].values()))
        rows.append(
            MetricMean(
                backend=cell.backend,
                device=cell.device,
                loop=cell.loop,
                metric=workload.metric,
                mean=estimate.value,
                ci95=estimate.ci95,
                seeds=len(scores[cell]),
            )
        )
    return rows


def epoch_scores(report: Report) -> list[tuple[Run, list[float]]]:
    """Returns each run with its score on the train part after each epoch, of the runs that have any."""
    found = [(run, run.train_rmse or run.train_metric) for run in report.runs]
    return [(run, scores) for run, scores in found if scores]


def final_scores(report: Report) -> dict[Cell, list[tuple[Run, float]]]:
    """Returns each cell's runs that are `ok` with their final score on the test part."""
    found: dict[Cell, list[tuple[Run, float]]] = {}
    for run in report.runs:
        score = run.test_metric if run.test_rmse is None else run.test_rmse
        if run.status == "ok" and score is not None:
            found.setdefault(run.cell, []).append((run, score))
    return found


def seed_rmse(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's final test RMSE by seed, the mean where several processes trained the same seed.

    Only runs that are `ok` count: one that broke off cannot vouch for its model.
    """
    return by_seed(
        (run, run.test_rmse)
        for run in runs
        if run.status == "ok" and run.test_rmse is not None and math.isfinite(run.test_rmse)
    )


def by_seed(scores: Iterable[tuple[Run, float]]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's score by seed, the mean where several processes trained the same seed."""
    values: dict[Cell, dict[int, list[float]]] = {}
    for run, score in scores:
        values.setdefault(run.cell, {}).setdefault(run.seed, []).append(score)
    return {
        cell: {seed: intervals.mean(several).value for seed, several in sorted(seeds.items())}
        for cell, seeds in values.items()
    }
