"""The handover ratio: how long a core takes to read what another has just written, which shows a shared cache.

On a virtual machine the hypervisor may move a virtual core to other silicon at any time. When two of them no longer
share a cache, arithmetic runs as fast as before, and so does a core alone with its data. But data that one core writes
and another reads travels further. A training step whose operations are spread over threads does that all the time.
No counter of the guest's kernel shows it: no steal time, no load, no clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from bench.system.probing import allowed_cpus, attempt
from movierank.data.ratings import Float32Array

BLOCK_BYTES = 512 * 1024  # fits into a core's own second-level cache on server processors of the last ten years
REPEATS = 9
MOST_CPUS = 8  # a ring over more takes longer and shows no more of a machine's state


class Handover:
    """A measurement of the ratio on a ring of processors, each with its own thread that sleeps in between.

    Args:
        cpus: numbers of the processors; those that a worker of as many threads uses.
    """

    def __init__(self, cpus: Sequence[int]) -> None:
        step = -(-len(cpus) // MOST_CPUS) or 1
        self._cpus = list(cpus)[::step]
        self._threads = [ThreadPoolExecutor(1, initializer=_pin, initargs=(cpu,)) for cpu in self._cpus]
        self._block = np.zeros(BLOCK_BYTES // 4, np.float32)

    @classmethod
    def of_threads(cls, threads: int) -> Handover | None:
        """Return the ring for the processors of so many threads of a worker; None where threads cannot be pinned."""
        cpus = allowed_cpus()[:threads]
        return cls(cpus) if len(cpus) > 1 and hasattr(os, "sched_setaffinity") else None

    def ratio(self) -> float | None:
        """Return the time of a first reading over that of a second one, the mean over the ring; None if it fails.

        Where this was developed, the ratio is 1.3 to 1.5 while the cores share a cache and 3.2 to 3.7 while they do
        not. Each pair gives the lower quartile of `REPEATS` tries: other programs only ever add to a ratio.
        """
        return attempt(self._measure, None)

    def _measure(self) -> float:
        ring = zip(self._threads, [*self._threads[1:], self._threads[0]], strict=True)
        return float(np.mean([self._between(writer, reader) for writer, reader in ring]))

    def _between(self, writer: ThreadPoolExecutor, reader: ThreadPoolExecutor) -> float:
        ratios = []
        for repeat in range(REPEATS):
            writer.submit(self._block.fill, float(repeat)).result()
            ratios.append(reader.submit(_first_over_second, self._block).result())
        return sorted(ratios)[REPEATS // 4]


def _pin(cpu: int) -> None:
    os.sched_setaffinity(0, {cpu})  # 0 means the calling thread, not the process (sched_setaffinity(2))


def _first_over_second(block: Float32Array) -> float:
    marks = [time.perf_counter()]
    for _ in range(3):
        block.max()
        marks.append(time.perf_counter())
    first, *later = (after - before for before, after in pairwise(marks))
    return first / min(later)
