"""The machine's state between rounds of benchmarks (docs/machine-state.md), which is reported but never waited for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from bench.statistics.calm import limit_of
from bench.system.environment import usable_cores
from bench.system.handover import Handover


class StateBetweenRounds:
    """A record of the state before every round of all benchmarks, taken in pytest-benchmark's `setup`."""

    def __init__(self) -> None:
        self._handover = Handover.of_threads(usable_cores())
        self._looks: list[float | None] = []

    def look(self) -> None:
        """Record the state now."""
        self._looks.append(None if self._handover is None else self._handover.ratio())

    def described(self, rounds: int) -> dict[str, Any]:
        """Record the state once more, and return the entries of `extra_info` on the last rounds.

        Args:
            rounds: number of rounds of the benchmark that has just ended, without its warm-up.

        Returns:
            `handover`: ratio of each round, as in `bench.schema.run.Run`; `apart_rounds`: number of these rounds that
            were timed while the cores did not share the cache that they have shared in this session, None where it is
            unknown.
        """
        self.look()
        ratios = [_worse(before, after) for before, after in pairwise(self._looks)]
        limit = limit_of(ratios)  # of all benchmarks, since one is shorter than a stretch of either state
        counted = ratios[-rounds:]
        apart = sum(ratio is not None and ratio > limit for ratio in counted)
        return {"handover": counted, "apart_rounds": apart if any(ratio is not None for ratio in counted) else None}


def _worse(before: float | None, after: float | None) -> float | None:
    return max((ratio for ratio in (before, after) if ratio is not None), default=None)
