"""What each run's training and test are told by: the RMSE of the built-in workload, or an own workload's metric."""

from __future__ import annotations

from bench.report import Cell, MetricMean, Report, Rmse, Run
from bench.summary import summarise


def mean_scores(report: Report) -> list[Rmse | MetricMean]:
    """Returns what each cell ends at on the test part, the mean over seeds."""
    return [*summarise(report.runs).rmse, *report.metrics]


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
