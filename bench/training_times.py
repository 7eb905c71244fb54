"""How long the trainings of a measurement took to their target: the built-in one's RMSE, or an own one's metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.convergence import learning_curve, rmse_by_epoch, time_to_score, time_to_target
from bench.convergence_records import TimeToTarget
from bench.predictions import MOST_STORED, Arrays, stages_of
from bench.recorder import Recorder
from bench.report import Run, Workload
from bench.summary import rounds_by_process
from movierank.splits import Split


def time_to_rmse(recorder: Recorder, split: Split, target: float) -> list[TimeToTarget]:
    """Returns the training time of each cell until the RMSE of the stored test predictions is at `target` or below."""
    label = split.test.take(slice(0, MOST_STORED)).label
    workload, counted = recorder.report.workload, rounds_by_process(recorder.runs)
    curves = [
        learning_curve(
            run,
            counted.get(run.cell, {}).get(run.process, []),
            rmse_by_epoch(_epochs_of(run, recorder, len(label)), label),
            num_train=workload.num_train,
            batch_size=workload.batch_size,
        )
        for run in recorder.runs
    ]
    return time_to_target([curve for curve in curves if curve is not None], target)


def time_to_metric(runs: Sequence[Run], workload: Workload) -> list[TimeToTarget]:
    """Returns the same until an own workload's metric is at its target or better; nothing where it names none."""
    if workload.target is None:
        return []
    counted = rounds_by_process(runs)
    curves = [
        learning_curve(
            run,
            counted.get(run.cell, {}).get(run.process, []),
            [math.nan if score is None else score for score in run.test_metric_by_epoch],
            num_train=workload.num_train,
            batch_size=workload.batch_size,
            better=workload.better,
        )
        for run in runs
    ]
    return time_to_score([curve for curve in curves if curve is not None], workload.target)


def _epochs_of(run: Run, recorder: Recorder, count: int) -> Arrays:
    """Returns the predictions after each epoch; none where they are not of the `count` ratings that are stored."""
    stages = {stage: array for stage, array in stages_of(run, recorder.arrays).items() if stage.startswith("epoch ")}
    return stages if all(array.shape == (count,) for array in stages.values()) else {}
