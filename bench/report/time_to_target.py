"""What a training ends at, beside the oracle's over the same seeds, and how long it takes to reach a target RMSE.

Final RMSE. MLPerf asks whether a submission's epochs to converge may come from the reference's distribution: it takes
the mean of several runs (without the best and the worst), assumes the reference's standard deviation on both sides,
and refuses a mean that Student's t at 5 % calls faster (`_find_min_acceptable_mean` in
https://github.com/mlcommons/logging/blob/master/mlperf_logging/rcp_checker/rcp_checker.py, which checks submissions
against Reference Convergence Points). `reference_rmse` asks the same of the final RMSE, with three differences: both
directions count, since a model that is worse is as suspicious here; seeds are too few to drop any; and the cells train
the oracle's very seeds, so there is a second, much sharper figure: the difference seed by seed.

Time to target. A training's time is the product of two numbers that have nothing to do with each other: the epochs,
which its seed decides, and the time of an epoch, which its process decides. Several processes train one seed, so an
interval that takes processes for independent is too narrow. `time_to_target` lets epochs scatter between seeds and the
time of an epoch between processes, both in logarithms, and joins the two with Welch's interval. The interval is about
another run with other seeds, on purpose: nobody trains the seeds of a benchmark. Where cells are compared, the ratio of
their step times is sharper, since all of them train the same seeds.

docs/method.md ("Simulated intervals") has the share of such intervals that hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.report.predictions import MOST_STORED, Arrays, stages_of
from bench.report.rounds import rounds_by_process
from bench.schema.cell import Cell
from bench.schema.derived import TimeToTarget
from bench.schema.run import Run, Workload
from bench.schema.workload import Better
from bench.statistics import contrast, intervals
from bench.statistics.intervals import CONFIDENCE, LARGEST_LOG, Interval
from movierank.data.splits import Split

TARGET_RMSE = 0.26


@dataclass(frozen=True)
class LearningCurve:
    """One process's training as far as time to target needs it.

    Attributes:
        cell: cell that trained.
        process: its index within the cell.
        seed: seed of the initial weights.
        epoch_s: time of one epoch at steady speed, in seconds: its median step time times the steps; None where
            none of its rounds counts (`bench.report.rounds`), which says nothing against its epochs.
        scores: scores of the test part after each epoch: its RMSE in label units, or a custom workload's metric.
        better: whether a lower or a higher score is better.
    """

    cell: Cell
    process: int
    seed: int
    epoch_s: float | None
    scores: tuple[float, ...]
    better: Better = "lower"

    def epochs_to(self, target: float) -> int | None:
        """Return after how many epochs the score was at `target` or better first; None where it never was."""
        sign = 1 if self.better == "lower" else -1
        return next((epoch for epoch, score in enumerate(self.scores, 1) if sign * score <= sign * target), None)


def learning_curve(
    run: Run,
    step_times_ms: Sequence[float],
    scores: Sequence[float],
    *,
    num_train: int,
    batch_size: int,
    better: Better = "lower",
) -> LearningCurve | None:
    """Return the learning curve of a run.

    Args:
        run: run that trained.
        step_times_ms: step times of full batches in its rounds that count; a smaller last batch counts in proportion.
        scores: scores of the test part after each epoch, such as `rmse_by_epoch` returns.
        num_train: examples in the train part.
        batch_size: examples a step.
        better: as in `LearningCurve`.

    Returns:
        None where the run broke off, was not timed or left no predictions: such a run cannot vouch for its model, and
        is no run that failed to reach a target either.
    """
    if run.status != "ok" or not run.step_time_ms or not scores:
        return None
    steps = num_train / batch_size
    epoch_s = intervals.process_median(step_times_ms) * steps / 1000 if step_times_ms else None
    return LearningCurve(run.cell, run.process, run.seed, epoch_s, tuple(scores), better)


def rmse_by_epoch(
    stages: Mapping[str, npt.NDArray[np.floating[Any]]], label: npt.NDArray[np.floating[Any]]
) -> list[float]:
    """Return the test RMSE after each epoch, computed in float64 from stored predictions.

    Args:
        stages: one run's predictions [N] at `epoch 1`, `epoch 2` …; other stages are left alone.
        label: float [N], of the same ratings. Where the test part has more than `bench.report.predictions.MOST_STORED`
            ratings, both are of its first ones.
    """
    epochs = sorted(int(stage.removeprefix("epoch ")) for stage in stages if stage.startswith("epoch "))
    truth = np.asarray(label, np.float64)
    return [
        float(np.sqrt(np.mean(np.square(np.asarray(stages[f"epoch {epoch}"], np.float64) - truth)))) for epoch in epochs
    ]


def time_to_target(curves: Iterable[LearningCurve], target: float = TARGET_RMSE) -> list[TimeToTarget]:
    """Return how long each cell trains until its test RMSE is at or below `target`, the fastest cell first.

    Raises:
        BenchError: `target` is not above 0 and finite.
        ValueError: a step time is not finite and positive.
    """
    if not (math.isfinite(target) and target > 0):
        raise BenchError(f"the target RMSE must be above 0; received {target}. Give for example {TARGET_RMSE}.")
    return time_to_score(curves, target)


def time_to_score(curves: Iterable[LearningCurve], target: float) -> list[TimeToTarget]:
    """Return how long each cell trains until its test score is at `target` or better, the fastest cell first.

    Processes that never reach it within the epochs trained are counted and no more: the time is of those that did, and
    would be longer if the others had been trained on. Cells without a process that reached it come last.

    Raises:
        ValueError: a step time is not finite and positive.
    """
    cells: dict[Cell, list[LearningCurve]] = {}
    for curve in curves:
        cells.setdefault(curve.cell, []).append(curve)
    rows = [
        _time_to_target(cell, sorted(several, key=lambda curve: curve.process), target)
        for cell, several in cells.items()
    ]
    return sorted(rows, key=lambda row: math.inf if row.typical_s is None else row.typical_s)


def _time_to_target(cell: Cell, curves: Sequence[LearningCurve], target: float) -> TimeToTarget:
    epochs = [curve.epochs_to(target) for curve in curves]
    there = [(curve, needed) for curve, needed in zip(curves, epochs, strict=True) if needed is not None]
    typical_s, ci95_s = _typical_time(there)
    return TimeToTarget(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        target=target,
        typical_s=typical_s,
        ci95_s=ci95_s,
        reached=len(there),
        processes=len(curves),
        seeds=[curve.seed for curve in curves],
        epochs=epochs,
    )


def _typical_time(there: Sequence[tuple[LearningCurve, int]]) -> tuple[float | None, Interval | None]:
    log_epoch_s = np.log([curve.epoch_s for curve, _ in there if curve.epoch_s is not None])
    if not log_epoch_s.size:
        return None, None
    by_seed: dict[int, list[float]] = {}
    for curve, epochs in there:
        # Rounding alone can tip a seed over the target in one process and not in another.
        by_seed.setdefault(curve.seed, []).append(math.log(epochs))
    log_epochs = np.array([np.mean(several) for several in by_seed.values()])
    # A sum of two means is a difference with one sign turned, and Welch's interval of a difference is there already.
    log_time = contrast.unpaired(log_epoch_s, -log_epochs)
    ends = log_time.interval(CONFIDENCE)
    return _exp(log_time.value), None if ends is None else (_exp(ends[0]), _exp(ends[1]))


def _exp(value: float) -> float:
    return math.exp(min(max(value, -LARGEST_LOG), LARGEST_LOG))


def time_to_rmse(
    runs: Sequence[Run], arrays: Arrays, workload: Workload, split: Split, target: float
) -> list[TimeToTarget]:
    """Return the training time of each cell until its test RMSE is at `target` or below.

    Args:
        runs: runs of a report.
        arrays: their predictions after each epoch, as in `predictions.npz`.
        workload: workload that they trained.
        split: split whose test part has the labels.
        target: RMSE in label units.
    """
    label = split.test.take(slice(0, MOST_STORED)).label
    scores = [rmse_by_epoch(_epochs_of(run, arrays, len(label)), label) for run in runs]
    return time_to_target(_curves(runs, scores, workload), target)


def time_to_metric(runs: Sequence[Run], workload: Workload) -> list[TimeToTarget]:
    """Return the same until a custom workload's metric is at its target or better; nothing where it names none."""
    if workload.target is None:
        return []
    scores = [[math.nan if score is None else score for score in run.test_metric_by_epoch] for run in runs]
    return time_to_score(_curves(runs, scores, workload), workload.target)


def _curves(runs: Sequence[Run], scores: Sequence[Sequence[float]], workload: Workload) -> list[LearningCurve]:
    """Return the learning curves of runs whose test scores by epoch are given."""
    counted = rounds_by_process(runs)
    curves = [
        learning_curve(
            run,
            counted.get(run.cell, {}).get(run.process, []),
            by_epoch,
            num_train=workload.num_train,
            batch_size=workload.batch_size,
            better=workload.better,
        )
        for run, by_epoch in zip(runs, scores, strict=True)
    ]
    return [curve for curve in curves if curve is not None]


def _epochs_of(run: Run, stored: Arrays, count: int) -> Arrays:
    """Return the predictions after each epoch; none where they are not of the `count` ratings that are stored."""
    stages = {stage: array for stage, array in stages_of(run, stored).items() if stage.startswith("epoch ")}
    return stages if all(array.shape == (count,) for array in stages.values()) else {}
