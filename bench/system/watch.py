"""Rounds are timed while the machine is in its usual state, if it returns to that in reasonable time.

The state is whether cores share a cache (`bench.system.handover`). It is looked at before and after each round, while
no worker works, and it knows nothing of what is measured: choosing rounds by it favours no cell. What is usual follows
from ratios by one rule, `limit_of`: for rounds that are to be timed, and for those of a report.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from bench.statistics.calm import limit_of
from bench.system.handover import Handover
from bench.system.interrupts import interruptible

T = TypeVar("T")


PAUSE_S = 0.05


FIRST_LOOKS = 5


class StateWatch:
    """Looks at the machine's state around rounds, and waits for the usual one as long as its patience lasts.

    Args:
        look: returns the handover ratio, or None where it cannot be measured.
        patience_s: how long to wait, and to spend on repeated rounds, in all, in seconds.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, look: Callable[[], float | None], patience_s: float, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._look = look
        self._sleep = _sleep if sleep is None else sleep
        self.patience_s = patience_s
        self._before: float | None = None
        self._ratios = [look() for _ in range(FIRST_LOOKS)]  # until there are rounds, and beside those

    def before_round(self) -> None:
        """Return at once in the usual state, else when it has come back or the patience is spent."""
        started = time.monotonic()
        self._before = self._look()
        while self.is_apart(self._before) and self.patience_s > 0:
            self._sleep(PAUSE_S)
            now = time.monotonic()
            self.spend(now - started)
            started = now
            self._before = self._look()

    def after_round(self) -> float | None:
        """Return the round's ratio: the worse of those before and after it, or None where there is none."""
        ratio = max((ratio for ratio in (self._before, self._look()) if ratio is not None), default=None)
        self._ratios.append(ratio)
        return ratio

    def is_apart(self, ratio: float | None) -> bool:
        """Return whether a ratio tells that cores did not share the cache that they usually share in this run."""
        return ratio is not None and ratio > limit_of(self._ratios)

    def repeat(
        self, lacking: Callable[[], Sequence[T]], take: Callable[[T], None], order: random.Random, most: int
    ) -> None:
        """Has further rounds taken where rounds of the usual state are lacking, while patience lasts.

        Args:
            lacking: returns for whom there are too few.
            take: takes another round of one of them, waiting for the usual state as before any other.
            order: draws who comes first.
            most: further rounds of each.
        """
        for _ in range(most):
            short = lacking()
            for each in order.sample(short, len(short)):
                if self.patience_s > 0:
                    left, started = self.patience_s, time.monotonic()
                    take(each)
                    self.patience_s = left - (time.monotonic() - started)  # what it waited is part of that

    def remember(self, ratios: Iterable[float | None]) -> None:
        """Take ratios of rounds that were measured before, on the same machine, for its own."""
        self._ratios.extend(ratios)

    def refill(self, patience_s: float) -> None:
        """Yield it new patience, for the next measurement; what it knows of the machine stays."""
        self.patience_s = patience_s

    def spend(self, seconds: float) -> None:
        """Take time that a repeated round has cost from the patience."""
        self.patience_s -= seconds


def watch_of(threads: int, patience_s: float) -> StateWatch:
    """Return a watch of the processors of workers with so many threads."""
    handover = Handover.of_threads(threads)
    return StateWatch(lambda: None if handover is None else handover.ratio(), patience_s)


def _sleep(seconds: float) -> None:
    with interruptible():
        time.sleep(seconds)
