"""The final test metric of each cell over seeds, whatever the workload calls it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bench import statistics
from bench.metric_names import SHOWN
from bench.report import Cell, MetricMean, Report, Rmse, Run, Workload
from bench.summary import by_seed, process_medians, seed_rmse


def metric_label(workload: Workload) -> str:
    """Returns what to call the workload's metric: `RMSE`, `accuracy`."""
    return SHOWN.get(workload.metric, workload.metric)


def score_rows(report: Report) -> list[Rmse | MetricMean]:
    """Returns the final test score of each cell, whichever the report has."""
    return [*report.rmse, *report.metrics]


def seed_metric(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's final test metric by seed, of a workload of the user's own, as `bench.summary.seed_rmse`."""
    return by_seed(
        (run, run.test_metric)
        for run in runs
        if run.status == "ok" and run.test_metric is not None and math.isfinite(run.test_metric)
    )


def seed_scores(report: Report) -> Mapping[Cell, Mapping[int, float]]:
    """Returns each cell's final test score by seed: the RMSE of the built-in workload, else the metric."""
    return seed_rmse(report.runs) if report.workload.workload is None else seed_metric(report.runs)


def metric_means(runs: Sequence[Run], workload: Workload) -> list[MetricMean]:
    """Returns one record a cell with at least one run that is `ok`, by step time as `bench.summary.summarise`."""
    scores = seed_metric(runs)
    medians = {cell: statistics.process_median(list(of.values())) for cell, of in process_medians(runs).items()}
    rows = []
    for cell in sorted(scores, key=lambda cell: (medians.get(cell, math.inf), cell)):
        estimate = statistics.mean(list(scores[cell].values()))
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
