"""Estimate whether a worker fits in memory before it starts: the kernel would kill it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.schema.cell import Cell
from bench.schema.machine import Gpu
from bench.system.machine import nvidia_gpus
from bench.system.probing import attempt
from bench.system.snapshot import take_snapshot

MIB = 2**20
HOST = "cpu"  # the device whose memory is the machine's own
FLOAT_BYTES = 4
FRAMEWORK_MIB = 900  # a worker with small tables, rounded up: 460 to 700 MiB on Linux; not measured on a GPU
KEPT = 2  # weights and Adagrad's accumulators
# While whole tables are swept: a gradient as large as they are, and what Keras's Adagrad makes of it on the way. At
# 1,000,000 rows of 32, `fit` came to 3.2, 6.0 and 3.6 arrays of the tables' size in all, on jax, torch, tensorflow.
SWEPT = {"jax": 2, "tensorflow": 2, "torch": 4}
DRAWN = 2  # on the host of a GPU: initial weights are drawn there a table at a time in float64, and rounded
RATING_BYTES = 60  # the split's arrays, its permutation, and what a loop converts them to
SHARE = 0.9  # of the memory that there is; the rest is for what nobody counted


@dataclass(frozen=True)
class Need:
    """What a worker is expected to take, in MiB.

    Attributes:
        host: of the machine's memory.
        gpu: of its GPU's; 0 on the CPU.
    """

    host: float
    gpu: float = 0.0


def estimated_need(cell: Cell, *, rows: int, width: int, ratings: int) -> Need:
    """Return the memory that a worker is expected to need.

    Tables × (weights + accumulators + what sweeping whole tables takes) × 4 bytes lie on the device. Loops that by name
    update rows alone need no more than one table-sized array while they are built; of others the worst is assumed, as
    which way a loop takes shows only once it is there. Ratings lie on the host. A framework is counted on the host and
    on a GPU, where its context and libraries take memory.

    Args:
        cell: gives loop and device.
        rows: of both tables together.
        width: of a row.
        ratings: of the whole dataset.
    """
    tables = KEPT + (1 if cell.loop.startswith(("fused-rows", "native-rows")) else SWEPT[cell.backend])
    tables_mib = rows * width * FLOAT_BYTES / MIB
    others_mib = FRAMEWORK_MIB + ratings * RATING_BYTES / MIB
    if cell.device == HOST:
        return Need(host=others_mib + tables * tables_mib)
    return Need(host=others_mib + DRAWN * tables_mib, gpu=FRAMEWORK_MIB + tables * tables_mib)


def memory_mib(device: str) -> float | None:
    """Return the memory of a device that workers may take, in MiB; None where it is unknown.

    Of `cpu` that is what is left up to the control group's or the machine's limit; of a GPU all that nvidia-smi says it
    has, whoever uses it. Of several the largest counts, as which one a worker gets is for its environment to say.
    """
    if device == HOST:
        size = take_snapshot(sample_s=0).memory_left_mib
    else:
        gpus: list[Gpu] = attempt(nvidia_gpus, [])
        size = max((gpu.memory_mib for gpu in gpus if gpu.memory_mib), default=None)
    return None if size is None else size * SHARE


def shortage(needs: Mapping[Cell, Need], memory: Mapping[str, float | None]) -> str | None:
    """Return a sentence on the memory that is too small for workers side by side; None where they fit.

    Args:
        needs: of each cell's worker.
        memory: of the host and of each device, as `memory_mib` returns it. What lies on a GPU of unknown size is held
            against the host: an integrated one has no other, and of the rest nothing better is known.
    """
    asked = dict.fromkeys(memory, 0.0)
    for cell, need in needs.items():
        asked[HOST] += need.host
        asked[HOST if memory[cell.device] is None else cell.device] += need.gpu
    for device, mib in asked.items():
        size = memory[device]
        if size is not None and mib > size:
            there = f"{size:,.0f} are left" if device == HOST else f"its memory has {size:,.0f} for workers"
            return f"some {mib:,.0f} MiB are needed{'' if device == HOST else f' on {device}'} and {there}"
    return None


def groups_that_fit(needs: Mapping[Cell, Need], memory: Mapping[str, float | None]) -> list[list[Cell]]:
    """Return the cells that fit in memory: in one group where they do so side by side, else each by itself.

    Args:
        needs: of each cell's worker.
        memory: as for `shortage`.
    """

    def fit(cells: Iterable[Cell]) -> bool:
        return shortage({cell: needs[cell] for cell in cells}, memory) is None

    fitting = [cell for cell in needs if fit([cell])]
    return [fitting] if fitting and fit(fitting) else [[cell] for cell in fitting]
