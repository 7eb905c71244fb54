"""How many processes and rounds a measurement takes: a fixed number, or until the intervals are narrow enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import statistics
from bench.report import Cell, Run, Settings
from bench.summary import process_medians, rounds_by_process
from bench.variance import best_rounds, components

FEWEST_ADAPTIVE = 5  # stopping as soon as an interval looks narrow would otherwise favour the ones narrow by chance


@dataclass(frozen=True)
class Spent:
    """What one generation cost.

    Attributes:
        outside_s: starting its processes up to their first steady rounds, and ending them after their last, in seconds.
        rounds_s: its rounds, in seconds.
        rounds: rounds a process.
        workers: processes that ran rounds, in this measurement or in the one that it goes on with.
    """

    outside_s: float
    rounds_s: float
    rounds: int
    workers: int

    @property
    def total_s(self) -> float:
        """All of it, in seconds."""
        return self.outside_s + self.rounds_s


def next_rounds(settings: Settings, sides: Sequence[Sequence[Run]], spent: Sequence[Spent]) -> int | None:
    """Returns how many rounds each process of the next generation runs; None when enough has been measured.

    Without a precision or a budget, `settings.processes` generations of `settings.rounds` rounds. With a budget,
    generations start as long as one more of average cost fits; with a precision, until the interval of every cell, or
    of two environments the ratio of each, is that narrow. In both cases `settings.processes` (at least five) come
    first, budget or not, and the rounds a process follow from the variance components of what was measured.

    Args:
        settings: what was asked for.
        sides: runs measured so far, all cells, of one environment or of two that are measured against each other.
        spent: one record a generation, all so far.
    """
    adaptive = settings.adaptive
    least = max(settings.processes, FEWEST_ADAPTIVE) if adaptive else settings.processes
    if len(spent) < min(least, 2):
        return settings.rounds
    rounds = _best_rounds(settings, sides, spent) if adaptive else settings.rounds
    if len(spent) < least:
        return rounds
    if not adaptive or spent[-1].workers == 0:
        return None
    if settings.precision is not None and widest(sides) <= math.log1p(settings.precision):
        return None
    used = sum(one.total_s for one in spent)
    if settings.budget_s is not None and used + used / len(spent) > settings.budget_s:
        return None
    return rounds


def widest(sides: Sequence[Sequence[Run]]) -> float:
    """Returns the largest half-width of the cells' 95 % intervals, or of two sides their ratios', on logarithms.

    A cell of one process, such as one that failed since, has none and does not count; infinite where no cell has one.
    """
    return max(_half_widths(sides).values(), default=math.inf)


def _half_widths(sides: Sequence[Sequence[Run]]) -> dict[Cell, float]:
    medians = [process_medians(runs) for runs in sides]
    if len(sides) == 1:
        intervals = {cell: statistics.typical(list(one.values())).ci95 for cell, one in medians[0].items()}
    else:
        intervals = {cell: _ratio(medians[0][cell], medians[1][cell]) for cell in medians[0] if cell in medians[1]}
    return {cell: math.log(ends[1] / ends[0]) / 2 for cell, ends in intervals.items() if ends is not None}


def _ratio(base: Mapping[int, float], new: Mapping[int, float]) -> statistics.Interval | None:
    common = sorted(base.keys() & new.keys())
    if not common:
        return None
    return statistics.paired_ratio([new[place] for place in common], [base[place] for place in common]).ci95


def _best_rounds(settings: Settings, sides: Sequence[Sequence[Run]], spent: Sequence[Spent]) -> int:
    """Returns the rounds that narrow the widest interval most in a given time: it decides when enough is measured."""
    process_cost = sum(one.outside_s for one in spent) / max(1, sum(one.workers for one in spent))
    round_cost = sum(one.rounds_s for one in spent) / max(1, sum(one.rounds * one.workers for one in spent))
    half_widths = _half_widths(sides)
    if round_cost <= 0 or not half_widths:
        return settings.rounds
    cell = max(half_widths, key=half_widths.__getitem__)
    found = components(_rounds([rounds_by_process(runs)[cell] for runs in sides]))
    return settings.rounds if found is None else best_rounds(found, process_cost, round_cost)


def _rounds(of_sides: Sequence[Mapping[int, Sequence[float]]]) -> list[list[float]]:
    """Returns the rounds by process whose scatter makes the interval: of two sides, the ratios of their rounds."""
    if len(of_sides) == 1:
        return [list(rounds) for rounds in of_sides[0].values()]
    base, new = of_sides
    return [
        [b / a for a, b in zip(base[place], new[place], strict=False)] for place in sorted(base.keys() & new.keys())
    ]
