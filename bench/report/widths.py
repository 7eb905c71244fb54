"""How wide the intervals of a report, or of two sides, are."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from bench.report.rounds import interleaved, rounds_by_process, turns_of
from bench.schema.cell import Cell
from bench.schema.run import Run
from bench.statistics import contrast, intervals


def widest(sides: Sequence[Sequence[Run]], cells: Collection[Cell] | None = None) -> float:
    """Return the largest half-width of the cells' 95 % intervals (for two sides, of their ratios') on logarithms.

    Args:
        sides: as for `next_rounds`.
        cells: cells to look at; infinite where one has no interval, as with one process. None for those that have one.
    """
    known = half_widths_of(sides)
    return max((known.get(cell, math.inf) for cell in (known if cells is None else cells)), default=math.inf)


def half_widths_of(sides: Sequence[Sequence[Run]]) -> dict[Cell, float]:
    """Return the half-widths as the report or `compare` will print them: several ratios hold at 95 % together."""
    medians = [
        {cell: [intervals.process_median(one) for one in by_process.values()] for cell, by_process in found.items()}
        for found in counted_of(sides)
    ]
    if len(sides) == 1:
        found = {cell: intervals.typical(of_cell).ci95 for cell, of_cell in medians[0].items()}
        return {cell: math.log(ends[1] / ends[0]) / 2 for cell, ends in found.items() if ends is not None}
    base, new = medians
    ratios = {cell: contrast.paired(np.log(new[cell]), np.log(base[cell])) for cell in base if len(base[cell]) > 1}
    confidence = contrast.each_of(len(ratios))
    logs = {cell: ratio.interval(confidence) for cell, ratio in ratios.items()}
    return {cell: (ends[1] - ends[0]) / 2 for cell, ends in logs.items() if ends is not None}


def counted_of(sides: Sequence[Sequence[Run]]) -> list[dict[Cell, dict[int, list[float]]]]:
    """Return each cell's rounds in ms by process; for two sides, only those of pairs that ran side by side.

    `compare` leaves the others out: where one of a pair came by a later `--resume`, the machine may have drifted.
    """
    found = [rounds_by_process(runs) for runs in sides]
    if len(found) == 1:
        return found
    (base, new), cells = found, sum(map(len, found))
    pairs = {
        cell: interleaved(turns_of(sides[0], cell, base[cell]), turns_of(sides[1], cell, new[cell]), cells)
        for cell in base
        if cell in new
    }
    return [{cell: {place: one[cell][place] for place in places} for cell, places in pairs.items()} for one in found]
