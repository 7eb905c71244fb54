"""How fast a device is at best, measured by a worker with its own framework after its last round."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

TRY_S = 0.002  # long enough that starting and ending a try do not count
LIMIT_S = 0.05  # for the tries of one product, pass or launch
MOST_REPEATS = 1000
MOST_BATCH = 8192  # larger products are no faster
SQUARE = {"cpu": 1024, "gpu": 4096}  # a product that is large enough to keep every core busy
BEYOND_CACHES = 2**28  # bytes; the largest last-level cache that one core can fill is below half of this
IN_CACHE = 2**24  # bytes; lies in most last-level caches, and starting a pass over it costs little beside the pass
LEAST_PASS = 2**20  # bytes


@dataclass(frozen=True)
class Limits:
    """What a device can do at best; attributes as in `bench.schema.run.Run`."""

    matrix_gflop_s: float
    memory_gb_s: float
    launch_us: float | None


def measure_limits(
    adapter: ModuleType,
    *,
    batch_size: int,
    layers: Sequence[tuple[int, int]],
    dtype: str,
    touched_bytes: float,
    on_gpu: bool,
) -> Limits:
    """Measures the device's best rates in some tenths of a second.

    Products are tried at the sizes of the model's layers and as one large square, since no step computes faster than
    the fastest product there is, and layers of a small batch are slow. Passes over memory are tried on as many bytes
    as a step must touch, which may lie in a cache, and on larger arrays, up to one beyond all caches: no pass over
    fewer bytes is slower but for what it costs to start it.

    Args:
        adapter: of the framework (`bench.worker.frameworks`).
        batch_size: examples a step.
        layers: shapes of the dense layers' kernels.
        dtype: in which a layer computes.
        touched_bytes: weights and accumulators that a step updates.
        on_gpu: whether launches count.
    """
    side = SQUARE["gpu" if on_gpu else "cpu"]
    rows = min(batch_size, MOST_BATCH)
    products = [(rows, *layer) for layer in layers if min(layer) > 1] + [(side, side, side)]
    least = min(max(int(touched_bytes), LEAST_PASS), BEYOND_CACHES)
    sizes = {least, max(least, IN_CACHE), BEYOND_CACHES}
    return Limits(
        matrix_gflop_s=max(
            2e-9 * math.prod(shape) / best_s(run, adapter.synchronise)
            for shape in products
            for run in adapter.matrix_products(*shape, dtype)
        ),
        memory_gb_s=max(
            2e-9 * size / best_s(adapter.memory_pass(size // 4), adapter.synchronise) for size in sorted(sizes)
        ),
        launch_us=1e6 * best_s(adapter.smallest_launch(), adapter.synchronise) if on_gpu else None,
    )


def best_s(run: Callable[[], Any], synchronise: Callable[[], None]) -> float:
    """Returns the shortest time of one call of `run`, its work on the device included, in seconds.

    A try calls it as often as fills `TRY_S`, one call behind the other, and waits for all of them.
    """
    _try_s(run, synchronise, 1)  # compiles
    once = _try_s(run, synchronise, 1)
    repeats = min(MOST_REPEATS, max(1, math.ceil(TRY_S / once)))
    best = once
    ends = time.perf_counter() + LIMIT_S
    while time.perf_counter() < ends:
        best = min(best, _try_s(run, synchronise, repeats) / repeats)
    return best


def _try_s(run: Callable[[], Any], synchronise: Callable[[], None], repeats: int) -> float:
    started = time.perf_counter()
    results = [run() for _ in range(repeats)]  # kept, since a result that nobody holds is not waited for
    synchronise()
    seconds = time.perf_counter() - started
    del results
    return seconds
