"""What the raw samples of a report say: step times, ratios and RMSE."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from bench import statistics
from bench.calm_rounds import Counted, counted_rounds
from bench.modes import two_modes
from bench.record import Record
from bench.report import Cell, MetricMean, Ratio, Rmse, Run, StepTime
from bench.variance import components


class Summary(Record, frozen=True, kw_only=True):
    """The derived parts of a report.

    Attributes:
        step_time: one a cell with at least one steady round, fastest first.
        ratios: one a pair of such cells with a process index in common, in the order of `step_time`.
        rmse: one a cell with at least one run that is `ok`, in the same order: an order by RMSE would make a
            ranking of what is mostly noise.
    """

    step_time: list[StepTime]
    ratios: list[Ratio]
    rmse: list[Rmse]


def rounds_by_process(runs: Iterable[Run]) -> dict[Cell, dict[int, list[float]]]:
    """Returns each cell's steady rounds that count in ms by process index (`bench.calm_rounds`)."""
    return {cell: counted.rounds for cell, counted in counted_rounds(runs).items()}


def process_medians(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's median round in ms by process index, of the runs that `rounds_by_process` takes."""
    return {cell: _medians(by_process) for cell, by_process in rounds_by_process(runs).items()}


def _medians(by_process: Mapping[int, Sequence[float]]) -> dict[int, float]:
    return {process: statistics.process_median(rounds) for process, rounds in by_process.items()}


def turns_of(runs: Iterable[Run], cell: Cell, processes: Container[int]) -> dict[int, list[int]]:
    """Returns the turns of a cell's rounds by process index, of the processes given: those that count."""
    return {run.process: run.turns for run in runs if run.cell == cell and run.process in processes}


def interleaved(first: Mapping[int, Sequence[int]], second: Mapping[int, Sequence[int]], cells: int) -> list[int]:
    """Returns the processes of which both turns lie in the same stretch.

    They do not where one cell was measured first and the other by a later `--resume`: the machine may have drifted in
    between. Runs without turns, as in reports made by hand, are taken as side by side.

    Args:
        first: turns by process, of one cell.
        second: likewise of another, counted together with the first one's.
        cells: that took turns; from one sweep over them, turns lie less than that apart.
    """
    return [
        process
        for process in sorted(first.keys() & second.keys())
        if not (one := first[process])
        or not (other := second[process])
        or max(one[0], other[0]) - min(one[-1], other[-1]) < cells
    ]


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
        cell: {seed: statistics.mean(several).value for seed, several in sorted(seeds.items())}
        for cell, seeds in values.items()
    }


def summarise(runs: Sequence[Run]) -> Summary:
    """Derives step times, ratios and RMSE from the raw samples.

    Raises:
        ValueError: if a step time is not finite and positive.
    """
    counted = counted_rounds(runs)
    medians = {cell: _medians(of_cell.rounds) for cell, of_cell in counted.items()}
    step_time = [_step_time(cell, of_cell) for cell, of_cell in counted.items()]
    step_time.sort(key=lambda row: (row.median_ms, cell_of(row)))
    cells = [cell_of(row) for row in step_time]
    turns = {cell: turns_of(runs, cell, medians[cell]) for cell in cells}
    ratios = [
        _ratio(b, a, medians, pairs)
        for b, a in combinations(cells, 2)
        if (pairs := interleaved(turns[a], turns[b], len(cells)))
    ]
    scores = seed_rmse(runs)
    untimed = sorted(scores.keys() - set(cells))
    rmse = [_rmse(cell, scores[cell]) for cell in [*cells, *untimed] if cell in scores]
    return Summary(step_time=step_time, ratios=ratios, rmse=rmse)


def cell_of(row: StepTime | Rmse | MetricMean) -> Cell:
    """Returns the cell that a row of a summary is about."""
    return Cell(backend=row.backend, device=row.device, loop=row.loop)


def cell_named(name: str) -> Cell:
    """Returns the cell that records of parity call so: `jax/cpu/fit`, in a joined report `jax/cpu/fit (results/jax)`.

    A part that is missing is an empty text.
    """
    backend, _, rest = name.partition(" ")[0].partition("/")
    device, _, loop = rest.partition("/")
    return Cell(backend=backend, device=device, loop=loop)


def step_time_of(runs: Iterable[Run], cell: Cell, processes: Container[int]) -> StepTime:
    """Returns the step time of some of a cell's processes; which of their rounds count is judged among all `runs`."""
    counted = counted_rounds(runs)[cell]
    rounds = {process: rounds for process, rounds in counted.rounds.items() if process in processes}
    return _step_time(cell, replace(counted, rounds=rounds))


def _step_time(cell: Cell, counted: Counted) -> StepTime:
    rounds = list(counted.rounds.values())
    medians = [statistics.process_median(of_process) for of_process in rounds]
    median = statistics.process_median(medians)
    ends = statistics.typical(medians).ci95
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
    if statistics.paired_ratio(times[a], times[b]).value < 1:
        a, b = b, a
    estimate = statistics.paired_ratio(times[a], times[b])
    return Ratio(a=str(a), b=str(b), ratio=estimate.value, ci95=estimate.ci95, pairs=len(processes))


def _rmse(cell: Cell, by_seed: dict[int, float]) -> Rmse:
    estimate = statistics.mean(list(by_seed.values()))
    return Rmse(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        mean=estimate.value,
        ci95=estimate.ci95,
        seeds=len(by_seed),
    )
