"""The best rates of a device, measured by a worker with its own framework after its last round."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

TRY_S = 0.002  # long enough that the start and end of a try do not count
LIMIT_S = 0.05  # of all tries of one product, pass or launch
MOST_REPEATS = 1000
MOST_BATCH = 8192  # larger products are no faster
SQUARE = {"cpu": 1024, "gpu": 4096}  # a product that is large enough to keep every core busy
BEYOND_CACHES = 2**28  # bytes; the largest last-level cache that one core can fill is below half of this
IN_CACHE = 2**24  # bytes; lies in most last-level caches, and starting a pass over it costs little beside the pass
LEAST_PASS = 2**20  # bytes


def measure_limits(
    adapter: ModuleType,
    *,
    batch_size: int,
    layers: Sequence[tuple[int, int]],
    dtype: str,
    touched_bytes: float,
    on_gpu: bool,
) -> dict[str, float | None]:
    """Measure the device's best rates in some tenths of a second.

    Products are tried at the sizes of the model's layers and as one large square, since no step computes faster than
    the fastest product, and layers of a small batch are slow. Passes over memory are tried on as many bytes as a step
    must touch, which may lie in a cache, and on larger arrays, up to one beyond all caches: a pass over fewer bytes is
    slower only by the cost of starting it.

    Args:
        adapter: adapter of the framework (`bench.worker.frameworks`).
        batch_size: examples a step.
        layers: shapes of the dense layers' kernels.
        dtype: type in which a layer computes.
        touched_bytes: bytes of weights and accumulators that a step updates.
        on_gpu: whether the device is a GPU, on which launches count.

    Returns:
        `matrix_gflop_s`, `memory_gb_s` and `launch_us` as in `bench.schema.run.Run`.
    """
    rows = min(batch_size, MOST_BATCH)
    products = [(rows, *layer) for layer in layers if min(layer) > 1]
    least = min(max(int(touched_bytes), LEAST_PASS), BEYOND_CACHES)
    sizes = {least, max(least, IN_CACHE), BEYOND_CACHES}
    return {
        "matrix_gflop_s": 1e-9 * product_rate(adapter, products, dtype, on_gpu=on_gpu),
        "memory_gb_s": max(
            2e-9 * size / best_s(adapter.memory_pass(size // 4), adapter.synchronise) for size in sorted(sizes)
        ),
        "launch_us": 1e6 * best_s(adapter.smallest_launch(), adapter.synchronise) if on_gpu else None,
    }


def product_rate(adapter: ModuleType, shapes: Sequence[tuple[int, int, int]], dtype: str, *, on_gpu: bool) -> float:
    """Return the operations a second of the fastest matrix product: of these shapes, or of a large square.

    Args:
        adapter: adapter of the framework.
        shapes: rows, inner dimension and columns of each product.
        dtype: type in which it is computed.
        on_gpu: whether the device is a GPU, which needs a larger square.
    """
    side = SQUARE["gpu" if on_gpu else "cpu"]
    return max(
        2 * math.prod(shape) / best_s(run, adapter.synchronise)
        for shape in [*shapes, (side, side, side)]
        for run in adapter.matrix_products(*shape, dtype)
    )


def best_s(run: Callable[[], Any], synchronise: Callable[[], None]) -> float:
    """Return the shortest time of one call of `run`, its work on the device included, in seconds.

    A try calls it as often as fills `TRY_S`, one call after the other, and waits for all of them.
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
    results = [run() for _ in range(repeats)]  # kept, since `synchronise` does not wait for a result that nobody holds
    synchronise()
    seconds = time.perf_counter() - started
    del results
    return seconds
