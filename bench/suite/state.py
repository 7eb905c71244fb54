"""The machine's state between rounds of benchmarks (docs/machine-state.md): told, and never waited for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from bench.statistics.calm import limit_of
from bench.system.environment import usable_cores
from bench.system.handover import Handover


class StateBetweenRounds:
    """Looks at the state before every round of all benchmarks, as pytest-benchmark's `setup`."""

    def __init__(self) -> None:
        self._handover = Handover.of_threads(usable_cores())
        self._looks: list[float | None] = []

    def look(self) -> None:
        """Look at the state now."""
        self._looks.append(None if self._handover is None else self._handover.ratio())

    def described(self, rounds: int) -> dict[str, Any]:
        """Look once more, and return what `extra_info` is to say of the last rounds.

        Args:
            rounds: of the benchmark that has just ended, without those of its warm-up.

        Returns:
            `handover`: of each round, as in `bench.schema.run.Run`; `apart_rounds`: how many of them were timed while
            the cores did not share the cache that they have shared in this session, None where nobody could look.
        """
        self.look()
        ratios = [_worse(before, after) for before, after in pairwise(self._looks)]
        limit = limit_of(ratios)  # a benchmark is shorter than a stretch of either state: all tell what is usual
        counted = ratios[-rounds:]
        apart = sum(ratio is not None and ratio > limit for ratio in counted)
        return {"handover": counted, "apart_rounds": apart if any(ratio is not None for ratio in counted) else None}


def _worse(before: float | None, after: float | None) -> float | None:
    return max((ratio for ratio in (before, after) if ratio is not None), default=None)
