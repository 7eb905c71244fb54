"""Which rounds count: those timed while the cores shared a cache (`bench.system.handover`), where there are enough.

Where this was developed, on a virtual machine, the cores lose their common cache for seconds to a minute at a time.
A step of training then takes 1.2 to 1.8 times as long, depending on how often its threads hand data over. Mixed, such
rounds make two identical processes seem different for their whole life.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.schema.cell import Cell
from bench.schema.run import Run
from bench.statistics import intervals
from bench.statistics.calm import calm, calm_processes, limit_of, marked, usual_of
from bench.statistics.intervals import process_median


@dataclass(frozen=True)
class Counted:
    """The rounds of one cell that count.

    Attributes:
        rounds: rounds in ms by process index.
        counting: whether each round counts, by process index.
        looked: whether any round was looked at.
        apart: number of rounds that were timed while cores did not share a cache.
        calm: whether `rounds` are without those.
        slowdown: times as long as the others that those took, by medians; None where either kind is missing.
    """

    rounds: dict[int, list[float]]
    counting: dict[int, list[bool]]
    looked: bool
    apart: int
    calm: bool
    slowdown: float | None


def counted_rounds(runs: Iterable[Run]) -> dict[Cell, Counted]:
    """Return the rounds that count of each cell with at least one steady round.

    A run that failed later counts: its rounds were measured like any other. Of two runs with the same index the later
    counts, as when a run is repeated. A process without a calm round is left out, unless fewer than two (or the only
    one) would be left: then all rounds of the cell count.
    """
    by_cell: dict[Cell, dict[int, Run]] = {}
    for run in runs:
        if run.step_time_ms:
            by_cell.setdefault(run.cell, {})[run.process] = run
    limit = limit_of(ratios_of(run for by_process in by_cell.values() for run in by_process.values()))
    return {cell: _counted(by_process, limit) for cell, by_process in by_cell.items()}


def ratios_of(runs: Iterable[Run]) -> Iterator[float | None]:
    """Yield the handover ratios of all rounds of `runs`."""
    return (ratio for run in runs for ratio in run.handover)


def usual_ratio(runs: Iterable[Run]) -> float | None:
    """Return the handover ratio of the machine's usual state during `runs`; None where it was not measured."""
    return usual_of(ratios_of(runs))


def which_count(runs: Sequence[Run], counted: Mapping[Cell, Counted] | None = None) -> list[list[bool]]:
    """Return for each run, in order, whether each of its rounds counts in statistics.

    Args:
        runs: all runs of a report.
        counted: their rounds that count; None to derive them, too.
    """
    counted = counted_rounds(runs) if counted is None else counted
    last = {(run.cell, run.process): run for run in runs if run.step_time_ms}
    return [
        counted[run.cell].counting[run.process]
        if last.get((run.cell, run.process)) is run
        else [False] * len(run.step_time_ms)
        for run in runs
    ]


def _counted(by_process: dict[int, Run], limit: float) -> Counted:
    found = {process: marked(run.step_time_ms, run.handover, limit) for process, run in by_process.items()}
    kept = calm_processes({process: [rounds] for process, rounds in found.items()})
    disturbed = [step_time for rounds in found.values() for step_time, apart in rounds if apart]
    undisturbed = [step_time for rounds in found.values() for step_time in calm(rounds)]
    return Counted(
        rounds={process: calm(found[process]) for process in found if process in kept}
        if kept is not None
        else {process: [step_time for step_time, _ in rounds] for process, rounds in found.items()},
        counting={
            process: [(kept is None or process in kept) and not (apart and kept is not None) for _, apart in rounds]
            for process, rounds in found.items()
        },
        looked=any(ratio is not None for run in by_process.values() for ratio in run.handover),
        apart=len(disturbed),
        calm=kept is not None,
        slowdown=process_median(disturbed) / process_median(undisturbed) if disturbed and undisturbed else None,
    )


def rounds_by_process(runs: Iterable[Run]) -> dict[Cell, dict[int, list[float]]]:
    """Return each cell's steady rounds that count in ms by process index (`bench.report.rounds`)."""
    return {cell: counted.rounds for cell, counted in counted_rounds(runs).items()}


def process_medians(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Return each cell's median round in ms by process index, of the runs that `rounds_by_process` takes."""
    return {cell: medians_of(by_process) for cell, by_process in rounds_by_process(runs).items()}


def medians_of(by_process: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return a cell's median round in ms by process index."""
    return {process: intervals.process_median(rounds) for process, rounds in by_process.items()}


def turns_of(runs: Iterable[Run], cell: Cell, processes: Container[int]) -> dict[int, list[int]]:
    """Return the turns of a cell's rounds by process index, of the processes given: those that count."""
    return {run.process: run.turns for run in runs if run.cell == cell and run.process in processes}


def interleaved(first: Mapping[int, Sequence[int]], second: Mapping[int, Sequence[int]], cells: int) -> list[int]:
    """Return the processes whose turns in both cells lie in the same stretch.

    They do not where one cell was measured first and the other by a later `--resume`: the machine may have drifted in
    between. Runs without turns, as in reports made by hand, are taken as side by side.

    Args:
        first: turns of one cell by process.
        second: turns of another cell, counted together with the first one's.
        cells: number of cells that took turns; from one sweep over them, turns lie less than that apart.
    """
    return [
        process
        for process in sorted(first.keys() & second.keys())
        if not (one := first[process])
        or not (other := second[process])
        or max(one[0], other[0]) - min(one[-1], other[-1]) < cells
    ]
