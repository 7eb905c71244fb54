"""Rounds are timed while the machine is in its usual state, if it returns to that in reasonable time.

The state is whether cores share a cache (`bench.handover`). It is looked at before and after each round, while no
worker works, and it knows nothing of what is measured: choosing rounds by it favours no cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.handover import Handover
from bench.interrupts import interruptible

APART = 1.5  # times the usual ratio; where this was developed it is 1.3 to 1.5 with a shared cache, else 3.2 to 3.7
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
        self.least: float | None = None
        self._before: float | None = None
        for _ in range(FIRST_LOOKS):
            self._state()

    def before_round(self) -> None:
        """Returns at once in the usual state, else when it has come back or the patience is spent."""
        started = time.monotonic()
        self._before = self._state()
        while self.is_apart(self._before) and self.patience_s > 0:
            self._sleep(PAUSE_S)
            now = time.monotonic()
            self.spend(now - started)
            started = now
            self._before = self._state()

    def after_round(self) -> float | None:
        """Returns the worse of the ratios before and after the round; None where there is none."""
        return max((ratio for ratio in (self._before, self._state()) if ratio is not None), default=None)

    def is_apart(self, ratio: float | None) -> bool:
        """Returns whether a ratio tells that cores did not share the cache that they have shared in this run."""
        return ratio is not None and self.least is not None and ratio > APART * self.least

    def refill(self, patience_s: float) -> None:
        """Gives it new patience, for the next measurement; what it knows of the machine stays."""
        self.patience_s = patience_s

    def spend(self, seconds: float) -> None:
        """Takes time that a repeated round has cost from the patience."""
        self.patience_s -= seconds

    def _state(self) -> float | None:
        ratio = self._look()
        if ratio is not None:
            self.least = ratio if self.least is None else min(self.least, ratio)
        return ratio


def watch_of(threads: int, patience_s: float) -> StateWatch:
    """Returns a watch of the processors of workers with so many threads."""
    handover = Handover.of_threads(threads)
    return StateWatch(lambda: None if handover is None else handover.ratio(), patience_s)


def _sleep(seconds: float) -> None:
    with interruptible():
        time.sleep(seconds)
