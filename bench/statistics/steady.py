"""The rule that decides when a series of warm-up rounds has settled."""

from __future__ import annotations

from collections.abc import Sequence

IMPROVEMENT = 0.02
PATIENCE = 2
MOST_ROUNDS = 20


def is_steady(step_times: Sequence[float], *, improvement: float = IMPROVEMENT, patience: int = PATIENCE) -> bool:
    """Return whether none of the last `patience` rounds was better than the best before them.

    Warming up makes step times fall; noise makes them jump upwards. So a series counts as settled once
    `patience` rounds in a row failed to beat the best earlier one by more than `improvement`, however much
    slower they were.

    Args:
        step_times: step times of all warm-up rounds so far, in any unit.
        improvement: share of the best that counts as still getting faster.
        patience: number of rounds in a row without such a gain.
    """
    if len(step_times) <= patience:
        return False
    best_before = min(step_times[:-patience])
    return min(step_times[-patience:]) >= best_before * (1 - improvement)
