"""Which rounds count: those timed while the machine's cores shared a cache (`bench.handover`), where there are enough.

Where this was developed, on a virtual machine, the cores lose their common cache for seconds to a minute at a time.
A step of training then takes 1.2 to 1.8 times as long, depending on how often its threads hand data over. Mixed, such
rounds make two identical processes seem different for their whole life.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.machine_state import limit_of, usual_of
from bench.report import Cell, Run
from bench.statistics import process_median

FEWEST = 2  # processes with calm rounds, below which a cell is judged by all its rounds

Marked = tuple[float, bool]  # what a round measured, and whether it was timed with cores apart


@dataclass(frozen=True)
class Counted:
    """The rounds of one cell that count.

    Attributes:
        rounds: in ms by process index.
        looked: whether any round was looked at.
        apart: how many rounds were timed while cores did not share a cache.
        calm: whether `rounds` are without those.
        slowdown: how many times longer those took, by medians; None where there are none of either kind.
    """

    rounds: dict[int, list[float]]
    looked: bool
    apart: int
    calm: bool
    slowdown: float | None


def counted_rounds(runs: Iterable[Run]) -> dict[Cell, Counted]:
    """Returns the rounds that count of each cell with at least one steady round.

    A run that failed later counts: its rounds were measured like any other. Of two runs with the same index the later
    counts, as when a run is repeated. A process without a calm round is left out, unless fewer than two (or the only
    one) would be left: then all rounds of the cell count.
    """
    by_cell, limit = _judged_together(runs)
    return {cell: _counted(by_process, limit) for cell, by_process in by_cell.items()}


def _judged_together(runs: Iterable[Run]) -> tuple[dict[Cell, dict[int, Run]], float]:
    """Returns the runs that count by cell and process index, and the limit for their ratios."""
    by_cell: dict[Cell, dict[int, Run]] = {}
    for run in runs:
        if run.step_time_ms:
            by_cell.setdefault(run.cell, {})[run.process] = run
    return by_cell, limit_of(ratios_of(run for by_process in by_cell.values() for run in by_process.values()))


def ratios_of(runs: Iterable[Run]) -> Iterator[float | None]:
    """Gives the handover ratios of all rounds of `runs`."""
    return (ratio for run in runs for ratio in run.handover)


def usual_ratio(runs: Iterable[Run]) -> float | None:
    """Returns the handover ratio of the machine's usual state during `runs`; None where nobody looked."""
    return usual_of(ratios_of(runs))


def marked(rounds: Sequence[float], ratios: Sequence[float | None], limit: float) -> list[Marked]:
    """Marks the rounds that were timed with cores apart.

    Args:
        rounds: what each measured.
        ratios: their handover ratios; rounds beyond these were not looked at.
        limit: as `bench.machine_state.limit_of` returns it for all rounds that are judged together.
    """
    unlooked = [None] * (len(rounds) - len(ratios))
    return [
        (value, ratio is not None and ratio > limit) for value, ratio in zip(rounds, [*ratios, *unlooked], strict=False)
    ]


def calm(rounds: Iterable[Marked]) -> list[float]:
    """Returns what the rounds measured that were not timed with cores apart."""
    return [value for value, apart in rounds if not apart]


def calm_processes(found: Mapping[int, Iterable[Sequence[Marked]]]) -> set[int] | None:
    """Returns the processes of a cell whose rounds apart are left out; None where that would leave too few.

    Args:
        found: the series of rounds that each process measured; it must have a calm round in all of them.
    """
    enough = {process for process, series in found.items() if all(map(calm, series))}
    return enough if len(enough) >= min(FEWEST, len(found)) else None


def which_count(runs: Sequence[Run]) -> list[list[bool]]:
    """Returns for each run, in order, which of its rounds statistics are made of."""
    by_cell, limit = _judged_together(runs)
    counted = {cell: _counted(by_process, limit) for cell, by_process in by_cell.items()}
    return [
        [
            by_cell[run.cell][run.process] is run
            and run.process in counted[run.cell].rounds
            and not (apart and counted[run.cell].calm)
            for _, apart in marked(run.step_time_ms, run.handover, limit)
        ]
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
        looked=any(ratio is not None for run in by_process.values() for ratio in run.handover),
        apart=len(disturbed),
        calm=kept is not None,
        slowdown=process_median(disturbed) / process_median(undisturbed) if disturbed and undisturbed else None,
    )
