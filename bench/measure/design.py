"""How many processes and rounds a measurement takes: a fixed number, or until the intervals are narrow enough."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.report.widths import counted_of, half_widths_of, widest
from bench.schema.cell import Cell
from bench.schema.run import Run, Settings
from bench.statistics.scatter import best_rounds, components

FEWEST_ADAPTIVE = 5
# Ending as soon as an interval looks narrow favours those that are narrow by chance. From five processes on, 92 % of
# such intervals held the truth in the worst of the cases of `bench.studies.validate.stopping`, from ten on more than
# 93 %. A process counts if an interval rests on it: not one that was lost or has no calm round, nor a pair that did not
# run side by side.
FEWEST_NARROW = 10


@dataclass(frozen=True)
class Spent:
    """The cost of one generation; zero where it had been measured before.

    Attributes:
        outside_s: time to start its processes, up to their first steady rounds, and to end them, in seconds.
        rounds_s: time of its rounds, in seconds.
        rounds: rounds a process.
        workers: processes that reached their rounds.
    """

    outside_s: float = 0.0
    rounds_s: float = 0.0
    rounds: int = 0
    workers: int = 0

    @property
    def total_s(self) -> float:
        """The whole cost, in seconds."""
        return self.outside_s + self.rounds_s


def fewest(settings: Settings) -> int:
    """Return the least number of generations, whatever they show and cost."""
    return max(settings.processes, FEWEST_ADAPTIVE) if settings.adaptive else settings.processes


def next_rounds(
    settings: Settings, sides: Sequence[Sequence[Run]], spent: Sequence[Spent], cells: Collection[Cell]
) -> int | None:
    """Return how many rounds each process of the next generation runs; None when enough has been measured.

    Without a precision or a budget there are `settings.processes` generations of `settings.rounds` rounds. With a
    budget, generations start as long as one more of average cost fits. With a precision, they start until the interval
    of every cell (for two environments, of every ratio) is that narrow and rests on `FEWEST_NARROW` processes or pairs.
    Where too many are lost for that, the budget that `bench.measure.options` sets ends it. In both cases `fewest`
    generations come first, and so do the generations that a resumed report already has, since their processes may have
    been lost. The rounds a process follow from the variance components of the rounds so far.

    Args:
        settings: what was asked for.
        sides: runs so far of all cells, of one environment or of two that are measured against each other.
        spent: one record for each generation so far.
        cells: cells that gain by a further process: those that are given up on no side.
    """
    adaptive = settings.adaptive
    least = max(fewest(settings), _stored(sides, cells)) if adaptive else settings.processes
    if len(spent) < min(least, 2):
        return settings.rounds
    rounds = _best_rounds(settings, sides, spent, cells) if adaptive else settings.rounds
    if len(spent) < least:
        return rounds
    if not adaptive or not cells:
        return None
    if _narrow(settings, sides, cells):
        return None
    costs = [one.total_s for one in spent if one.total_s]
    if settings.budget_s is not None and sum(costs) + sum(costs) / max(1, len(costs)) > settings.budget_s:
        return None
    return rounds


def _narrow(settings: Settings, sides: Sequence[Sequence[Run]], cells: Collection[Cell]) -> bool:
    """Return whether every interval is as narrow as asked for and rests on `FEWEST_NARROW` processes or more."""
    if settings.precision is None or _least_counted(sides, cells) < FEWEST_NARROW:
        return False
    return widest(sides, cells) <= math.log1p(settings.precision)


def _least_counted(sides: Sequence[Sequence[Run]], cells: Collection[Cell]) -> int:
    """Return on how many processes (of two sides: pairs) the interval of the least measured cell rests."""
    counted = counted_of(sides)[0]
    return min((len(counted.get(cell, ())) for cell in cells), default=0)


def _stored(sides: Sequence[Sequence[Run]], cells: Collection[Cell]) -> int:
    """Return how many generations have a process of these cells, lost and interrupted ones included."""
    return max((1 + run.process for runs in sides for run in runs if run.cell in cells), default=0)


def _best_rounds(
    settings: Settings, sides: Sequence[Sequence[Run]], spent: Sequence[Spent], cells: Collection[Cell]
) -> int:
    """Return the rounds a process that narrow the widest interval, which decides when to end, most in a given time."""
    process_cost = sum(one.outside_s for one in spent) / max(1, sum(one.workers for one in spent))
    round_cost = sum(one.rounds_s for one in spent) / max(1, sum(one.rounds * one.workers for one in spent))
    half_widths = {cell: half for cell, half in half_widths_of(sides).items() if cell in cells}
    if round_cost <= 0 or not half_widths:
        return settings.rounds
    cell = max(half_widths, key=half_widths.__getitem__)
    found = components(_rounds([of_side[cell] for of_side in counted_of(sides)]))
    return settings.rounds if found is None else best_rounds(found, process_cost, round_cost)


def _rounds(of_sides: Sequence[Mapping[int, Sequence[float]]]) -> list[list[float]]:
    """Return the rounds by process whose scatter makes the interval; for two sides, the ratios of their rounds."""
    if len(of_sides) == 1:
        return [list(rounds) for rounds in of_sides[0].values()]
    base, new = of_sides
    return [[b / a for a, b in zip(base[place], new[place], strict=False)] for place in base]
