"""What the raw samples of a report say: step times, ratios and mean scores."""

from __future__ import annotations

import statistics
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from bench.report.rounds import Counted, counted_rounds, interleaved, medians_of, turns_of
from bench.report.scores import seed_scores
from bench.schema.cell import Cell
from bench.schema.derived import FirstStep, Ratio, Rmse, StepTime
from bench.schema.record import Record
from bench.schema.run import Run
from bench.statistics import intervals
from bench.statistics.scatter import components, two_modes


class Summary(Record, frozen=True, kw_only=True):
    """The derived parts of a report.

    Attributes:
        step_time: one record a cell with at least one steady round, the fastest first.
        ratios: one record a pair of such cells with a process index in common, in the order of `step_time`.
        scores: final test score of each cell with a run that is `ok`, in the same order, since an order by score would
            rank what is mostly noise. A custom workload's metric stands in place of the RMSE.
    """

    step_time: list[StepTime]
    ratios: list[Ratio]
    scores: list[Rmse]


def summarise(runs: Sequence[Run], counted: Mapping[Cell, Counted] | None = None) -> Summary:
    """Derive step times, ratios and mean scores from the raw samples.

    Args:
        runs: all runs of a report.
        counted: their rounds that count; None to derive them, too.

    Raises:
        ValueError: a step time is not finite and positive.
    """
    counted = counted_rounds(runs) if counted is None else counted
    medians = {cell: medians_of(of_cell.rounds) for cell, of_cell in counted.items()}
    step_time = [_step_time(cell, of_cell) for cell, of_cell in counted.items()]
    step_time.sort(key=lambda row: (row.median_ms, row.cell))
    cells = [row.cell for row in step_time]
    turns = {cell: turns_of(runs, cell, medians[cell]) for cell in cells}
    ratios = [
        _ratio(b, a, medians, pairs)
        for b, a in combinations(cells, 2)
        if (pairs := interleaved(turns[a], turns[b], len(cells)))
    ]
    scores = seed_scores(runs)
    untimed = sorted(scores.keys() - set(cells))
    means = [_mean_score(cell, scores[cell]) for cell in [*cells, *untimed] if cell in scores]
    return Summary(step_time=step_time, ratios=ratios, scores=means)


def step_time_of(cell: Cell, counted: Counted, processes: Container[int]) -> StepTime:
    """Return the step time of some of a cell's processes, given the rounds of all of them."""
    rounds = {process: rounds for process, rounds in counted.rounds.items() if process in processes}
    return _step_time(cell, replace(counted, rounds=rounds))


def _step_time(cell: Cell, counted: Counted) -> StepTime:
    rounds = list(counted.rounds.values())
    medians = [intervals.process_median(of_process) for of_process in rounds]
    median = intervals.process_median(medians)
    ends = intervals.typical(medians).ci95
    scatter = components(rounds)
    return StepTime(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        median_ms=median,
        # The interval lies around the geometric mean; in lopsided cells it is widened to hold the median too.
        ci95_ms=None if ends is None else (min(ends[0], median), max(ends[1], median)),
        processes=len(medians),
        rounds=sum(map(len, rounds)),
        process_sd=None if scatter is None else scatter.process_sd,
        round_sd=None if scatter is None else scatter.round_sd,
        modes_ms=two_modes(medians),
        apart_rounds=counted.apart if counted.looked else None,
        apart_slowdown=counted.slowdown,
        calm=counted.calm if counted.looked else None,
    )


def _ratio(first: Cell, second: Cell, medians: dict[Cell, dict[int, float]], processes: list[int]) -> Ratio:
    times = {cell: [medians[cell][process] for process in processes] for cell in (first, second)}
    a, b = second, first
    if intervals.paired_ratio(times[a], times[b]).value < 1:
        a, b = b, a
    estimate = intervals.paired_ratio(times[a], times[b])
    return Ratio(a=str(a), b=str(b), ratio=estimate.value, ci95=estimate.ci95, pairs=len(processes))


def _mean_score(cell: Cell, by_seed: dict[int, float]) -> Rmse:
    estimate = intervals.mean(list(by_seed.values()))
    return Rmse(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        mean=estimate.value,
        ci95=estimate.ci95,
        seeds=len(by_seed),
    )


def first_steps(runs: Sequence[Run]) -> list[FirstStep]:
    """Return one record a cell with at least one first step, in the order of the runs."""
    cells: dict[Cell, tuple[list[float], list[float]]] = {}
    for run in runs:
        if run.first_step_s is not None:
            cold, warm = cells.setdefault(run.cell, ([], []))
            (warm if run.compile_cache == "warm" else cold).append(run.first_step_s)
    return [
        FirstStep(
            backend=cell.backend,
            device=cell.device,
            loop=cell.loop,
            cold_s=statistics.median(cold) if cold else None,
            cold_processes=len(cold),
            warm_s=statistics.median(warm) if warm else None,
            warm_processes=len(warm),
        )
        for cell, (cold, warm) in cells.items()
    ]
