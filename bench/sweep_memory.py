"""Whether a worker would fit in memory, told beforehand: the kernel tells by killing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.machine import nvidia_gpus
from bench.probing import attempt
from bench.report import Cell, Gpu
from bench.snapshot import take_snapshot

MIB = 2**20
FLOAT_BYTES = 4
FRAMEWORK_MIB = 900  # a worker with small tables, rounded up: 460 to 700 MiB on Linux; not measured on a GPU
KEPT = 2  # weights and Adagrad's accumulators
# While whole tables are swept: a gradient as large as they are, and what Keras's Adagrad makes of it on the way. At
# 1,000,000 rows of 32, `fit` came to 3.2, 6.0 and 3.6 arrays of the tables' size in all, on jax, torch, tensorflow.
SWEPT = {"jax": 2, "tensorflow": 2, "torch": 4}
RATING_BYTES = 60  # the split's arrays, its permutation, and what a loop converts them to
SHARE = 0.9  # of the memory that is left; the rest is for what nobody counted


def estimate_mib(cell: Cell, *, rows: int, width: int, ratings: int) -> float:
    """Returns what a worker is expected to need, in MiB.

    Tables × (weights + accumulators + what sweeping whole tables takes) × 4 bytes. Loops that by their name update
    rows alone need no more than one table-sized array while they are built; of others the worst is assumed, as which
    way a loop takes shows only once it is there.

    Args:
        cell: gives the loop.
        rows: of both tables together.
        width: of a row.
        ratings: of the whole dataset.
    """
    tables = KEPT + (1 if cell.loop.startswith(("fused-rows", "native-rows")) else SWEPT[cell.backend])
    return FRAMEWORK_MIB + (tables * rows * width * FLOAT_BYTES + ratings * RATING_BYTES) / MIB


def memory_left_mib(device: str) -> float | None:
    """Returns what workers on a device can still take; None where nobody knows.

    Of `cpu` that is up to the control group's or the machine's limit. Tables of a worker on a GPU lie there, and it has
    what nvidia-smi says; of several the largest counts, as which one a worker gets is for its environment to say.
    """
    if device == "cpu":
        left = take_snapshot(sample_s=0).memory_left_mib
    else:
        gpus: list[Gpu] = attempt(nvidia_gpus, [])
        left = max((gpu.memory_mib for gpu in gpus if gpu.memory_mib), default=None)
    return None if left is None else left * SHARE


def groups_that_fit(needs: Mapping[Cell, float], left: Mapping[str, float | None]) -> list[list[Cell]]:
    """Returns the cells that fit in memory: in one group where they do so side by side, else each by itself.

    Args:
        needs: of each cell's worker, in MiB.
        left: of each device, as `memory_left_mib` returns it.
    """

    def fit(cells: Sequence[Cell]) -> bool:
        for device, mib in left.items():
            if mib is not None and sum(needs[cell] for cell in cells if cell.device == device) > mib:
                return False
        return True

    fitting = [cell for cell in needs if fit([cell])]
    return [fitting] if fit(fitting) else [[cell] for cell in fitting]
