"""Which rounds count: those timed while the machine's cores shared a cache (`bench.handover`), where there are enough.

Where this was developed, on a virtual machine, the cores lose their common cache for seconds to a minute at a time.
A step of training then takes 1.2 to 1.8 times as long, depending on how often its threads hand data over. Mixed, such
rounds make two identical processes seem different for their whole life.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.machine_state import APART
from bench.report import Cell, Run
from bench.statistics import process_median

FEWEST = 2  # processes with calm rounds, below which a cell is judged by all its rounds
USUAL = 0.1  # quantile of all ratios that stands for the usual state: one lucky look must not set it


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
    by_cell: dict[Cell, dict[int, Run]] = {}
    for run in runs:
        if run.step_time_ms:
            by_cell.setdefault(run.cell, {})[run.process] = run
    limit = limit_of([run for by_process in by_cell.values() for run in by_process.values()])
    return {cell: _counted(by_process, limit) for cell, by_process in by_cell.items()}


def usual_ratio(runs: Iterable[Run]) -> float | None:
    """Returns the handover ratio of the machine's usual state during `runs`; None where nobody looked."""
    ratios = [ratio for run in runs for ratio in run.handover if ratio is not None]
    return float(np.quantile(ratios, USUAL)) if ratios else None


def limit_of(runs: Iterable[Run]) -> float:
    """Returns the handover ratio above which a round was timed with cores apart; infinite where nobody looked."""
    usual = usual_ratio(runs)
    return math.inf if usual is None else APART * usual


def marked(run: Run, limit: float) -> list[tuple[float, bool]]:
    """Returns the step time of each round in ms, and whether it was timed with cores apart."""
    unlooked = [None] * (len(run.step_time_ms) - len(run.handover))
    return [
        (step_time, ratio is not None and ratio > limit)
        for step_time, ratio in zip(run.step_time_ms, [*run.handover, *unlooked], strict=False)
    ]


def which_count(runs: Sequence[Run]) -> list[list[bool]]:
    """Returns for each run, in order, which of its rounds statistics are made of."""
    counted, limit = counted_rounds(runs), limit_of(runs)
    return [
        [
            run.process in counted[run.cell].rounds and not (apart and counted[run.cell].calm)
            for _, apart in marked(run, limit)
        ]
        for run in runs
    ]


def _counted(by_process: dict[int, Run], limit: float) -> Counted:
    found = {process: marked(run, limit) for process, run in by_process.items()}
    calm = {process: rounds for process, pairs in found.items() if (rounds := [t for t, apart in pairs if not apart])}
    disturbed = [step_time for pairs in found.values() for step_time, apart in pairs if apart]
    enough = len(calm) >= min(FEWEST, len(found))
    undisturbed = [step_time for rounds in calm.values() for step_time in rounds]
    return Counted(
        rounds=calm if enough else {process: [t for t, _ in pairs] for process, pairs in found.items()},
        looked=any(ratio is not None for run in by_process.values() for ratio in run.handover),
        apart=len(disturbed),
        calm=enough,
        slowdown=process_median(disturbed) / process_median(undisturbed) if disturbed and undisturbed else None,
    )
