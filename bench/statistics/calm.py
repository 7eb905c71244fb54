"""Calm rounds: rounds during which the processor cores shared a cache and no other program was busy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

FEWEST = 2  # processes with calm rounds; with fewer a cell is judged by all its rounds
APART = 1.5  # times the usual ratio; where this was developed it is 1.3 to 1.5 with a shared cache, else 3.2 to 3.7
USUAL = 0.1  # quantile of all ratios that stands for the usual state: one lucky ratio must not set it

Marked = tuple[float, bool]  # a round's value, and whether it was timed with cores apart


def marked(rounds: Sequence[float], ratios: Sequence[float | None], limit: float) -> list[Marked]:
    """Return the rounds, each marked with whether it was timed with cores apart.

    Args:
        rounds: value of each round.
        ratios: handover ratio of each round; rounds beyond these have none.
        limit: limit as `bench.statistics.calm.limit_of` returns it for all rounds that are judged together.
    """
    missing = [None] * (len(rounds) - len(ratios))
    return [
        (value, ratio is not None and ratio > limit) for value, ratio in zip(rounds, [*ratios, *missing], strict=False)
    ]


def calm(rounds: Iterable[Marked]) -> list[float]:
    """Return the values of the rounds that were not timed with cores apart."""
    return [value for value, apart in rounds if not apart]


def calm_processes(found: Mapping[int, Iterable[Sequence[Marked]]]) -> set[int] | None:
    """Return the processes of a cell whose rounds apart are left out; None where that would leave too few.

    Args:
        found: series of rounds of each process; a process counts if each of its series has a calm round.
    """
    enough = {process for process, series in found.items() if all(map(calm, series))}
    return enough if len(enough) >= min(FEWEST, len(found)) else None


def usual_of(ratios: Iterable[float | None]) -> float | None:
    """Return the handover ratio of the machine's usual state; None where no ratio is known.

    Args:
        ratios: ratio of each round; None for a round without one.
    """
    known = [ratio for ratio in ratios if ratio is not None]
    return float(np.quantile(known, USUAL)) if known else None


def limit_of(ratios: Iterable[float | None]) -> float:
    """Return the ratio above which a round was timed with cores apart; infinite where no ratio is known."""
    usual = usual_of(ratios)
    return math.inf if usual is None else APART * usual
