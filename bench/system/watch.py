"""A watch on the machine's state, so that rounds are timed in its usual state if that returns in reasonable time.

The state is whether cores share a cache (`bench.system.handover`). It is measured before and after each round, while
no worker works, and does not depend on the measured times: choosing rounds by it favours no cell. One rule, `limit_of`,
derives the usual state from ratios, for rounds to be timed and for those of a report.
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
    """A watch on the machine's state around rounds, which waits for the usual state as long as its patience lasts.

    Args:
        look: function that returns the handover ratio, or None where it cannot be measured.
        patience_s: time to wait, and to spend on repeated rounds, in all, in seconds.
        sleep: function that waits for a number of seconds.
    """

    def __init__(
        self, look: Callable[[], float | None], patience_s: float, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._look = look
        self._sleep = _sleep if sleep is None else sleep
        self.patience_s = patience_s
        self._before: float | None = None
        self._ratios = [look() for _ in range(FIRST_LOOKS)]  # used until there are rounds, and together with them

    def before_round(self) -> None:
        """Return at once in the usual state, else when it has returned or the patience is spent."""
        started = time.monotonic()
        self._before = self._look()
        while self.is_apart(self._before) and self.patience_s > 0:
            self._sleep(PAUSE_S)
            now = time.monotonic()
            self.spend(now - started)
            started = now
            self._before = self._look()

    def after_round(self) -> float | None:
        """Return the round's ratio: the worse of those before and after it, or None where none could be measured."""
        ratio = max((ratio for ratio in (self._before, self._look()) if ratio is not None), default=None)
        self._ratios.append(ratio)
        return ratio

    def is_apart(self, ratio: float | None) -> bool:
        """Return whether a ratio shows that cores did not share the cache that they usually share in this run."""
        return ratio is not None and ratio > limit_of(self._ratios)

    def repeat(
        self, lacking: Callable[[], Sequence[T]], take: Callable[[T], None], order: random.Random, most: int
    ) -> None:
        """Take further rounds where too few were timed in the usual state, while patience lasts.

        Args:
            lacking: function that returns the items with too few rounds.
            take: function that takes another round of an item, waiting for the usual state as before any other round.
            order: generator that draws the order of the items.
            most: largest number of further rounds of each item.
        """
        for _ in range(most):
            short = lacking()
            for each in order.sample(short, len(short)):
                if self.patience_s > 0:
                    left, started = self.patience_s, time.monotonic()
                    take(each)
                    self.patience_s = left - (time.monotonic() - started)  # this includes the time that it waited

    def remember(self, ratios: Iterable[float | None]) -> None:
        """Add ratios of rounds that were measured before, on the same machine."""
        self._ratios.extend(ratios)

    def refill(self, patience_s: float) -> None:
        """Renew the patience for the next measurement; the known ratios stay."""
        self.patience_s = patience_s

    def spend(self, seconds: float) -> None:
        """Subtract the time of a repeated round from the patience."""
        self.patience_s -= seconds


def watch_of(threads: int, patience_s: float) -> StateWatch:
    """Return a watch of the processors of workers with `threads` threads."""
    handover = Handover.of_threads(threads)
    return StateWatch(lambda: None if handover is None else handover.ratio(), patience_s)


def _sleep(seconds: float) -> None:
    with interruptible():
        time.sleep(seconds)
