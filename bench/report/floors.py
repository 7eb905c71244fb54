"""The least time that a step can take on a device, from what the step must do and the device at best can.

A step multiplies matrices and moves numbers; on a device that does both at once it takes at least the longer of
the two. On a GPU Python hands each step to the device where a loop comes back to it, which takes a launch; that goes on
while the device is still at the step before, so that the longest of the three counts:

    floor = max(operations / fastest matrix product, bytes / fastest pass over memory, launch)

Operations: for a batch of B and towers of width D the layers' products take 2 B (2D·256 + 256·64 + 64·1), an addition
and a multiplication counting as two, and the backward pass twice that again: once for the gradients of the weights
and once for those of the inputs. Bytes: each weight that is updated and its accumulator are read and written, and ids
and labels read. What a step computes in between may stay in a cache and is left out, as are all operations that are
no matrix product: the floor is a lower bound, not a prediction. After the roofline model (Williams, Waterman and
Patterson, "Roofline", CACM 52, 2009).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.schema.cell import Cell, bare_loop, precision_of
from bench.schema.derived import Floor, StepTime
from bench.schema.run import Run, Workload
from movierank.loops import parse_loop
from movierank.step_cost import state_bytes, step_operations, sweeps_tables, table_rows

BYTES_OF_EXAMPLE = 4 + 4 + 4  # user id, movie id and label


@dataclass(frozen=True)
class Rates:
    """What a device can do at best.

    Attributes:
        matrix_gflop_s, memory_gb_s, launch_us: as in `bench.schema.run.Run`; `launch_us` is 0 on the CPU, and where
            steps are not launched one by one.
    """

    matrix_gflop_s: float
    memory_gb_s: float
    launch_us: float


@dataclass(frozen=True)
class Step:
    """What one training step must do.

    Attributes:
        operations: additions and multiplications in matrix products.
        moved_bytes: read or written.
    """

    operations: float
    moved_bytes: float

    def least_ms(self, rates: Rates) -> tuple[float, Literal["arithmetic", "memory"]]:
        """Return the least time that it takes, in ms, and which of the work's two limits is the larger."""
        arithmetic_ms = self.operations / (1e6 * rates.matrix_gflop_s)
        memory_ms = self.moved_bytes / (1e6 * rates.memory_gb_s)
        least_ms = max(arithmetic_ms, memory_ms, rates.launch_us / 1e3)
        return least_ms, "arithmetic" if arithmetic_ms >= memory_ms else "memory"


def least_step(loop: str, workload: Workload, touched_rows: float, bytes_of_weight: int = 4) -> Step:
    """Return the work that one step of `loop` must do."""
    width = workload.embedding_dimension
    rows = table_rows(loop, workload.num_users + workload.num_movies + 2, touched_rows)  # id 0 takes a row in each
    return Step(
        operations=step_operations(workload.batch_size, width),
        moved_bytes=2 * state_bytes(width, rows, bytes_of_weight) + BYTES_OF_EXAMPLE * workload.batch_size,
    )


def floors(runs: Sequence[Run], step_time: Sequence[StepTime], workload: Workload) -> list[Floor]:
    """Return one record a cell whose device's limits were measured, in the order of `step_time`.

    Of each rate the best counts that any process of the framework (or of any framework) reached on the device in the
    cell's arithmetic: a device that was once as fast can be so again. Passes over memory count where they were over as
    much as the cell's own step must touch, since touched rows may lie in a cache where whole tables do not.
    """
    records = []
    for row in step_time:
        cell = row.cell
        framework, best = device_rates(runs, cell)
        step = _step_of(cell, runs, workload)
        if framework is None or best is None or step is None:
            continue
        floor_ms, bound = step.least_ms(framework)
        best_floor_ms, best_bound = step.least_ms(best)
        records.append(
            Floor(
                backend=cell.backend,
                device=cell.device,
                loop=cell.loop,
                floor_ms=floor_ms,
                bound=bound,
                times_floor=row.median_ms / floor_ms,
                times_floor_ci95=_over(row.ci95_ms, floor_ms),
                best_floor_ms=best_floor_ms,
                best_bound=best_bound,
                times_best_floor=row.median_ms / best_floor_ms,
                times_best_floor_ci95=_over(row.ci95_ms, best_floor_ms),
            )
        )
    return records


def _step_of(cell: Cell, runs: Sequence[Run], workload: Workload) -> Step | None:
    """Return what a step of the cell must do; None where it is unknown."""
    bytes_of_weight = 2 if precision_of(cell) == "bfloat16" else 4
    if workload.step_operations is not None and workload.step_bytes is not None:
        return Step(workload.step_operations, workload.step_bytes * bytes_of_weight / 4)
    touched = [run.touched_rows for run in runs if run.cell == cell and run.touched_rows is not None]
    return least_step(bare_loop(cell.loop), workload, min(touched), bytes_of_weight) if touched else None


def device_rates(runs: Sequence[Run], cell: Cell) -> tuple[Rates | None, Rates | None]:
    """Return the rates that the cell's framework, and the best of all, reached on its device in its arithmetic.

    Either is None where no run measured it. The launch is there for a cell whose every step takes one.
    """
    alike = [run for run in runs if _device_and_arithmetic(run.cell) == _device_and_arithmetic(cell)]
    return _best_rates([run for run in alike if run.backend == cell.backend], cell), _best_rates(alike, cell)


def launches_steps(cell: Cell) -> bool:
    """Return whether the cell's loop comes back to Python for each step, on a GPU to launch the next one.

    On JAX and TensorFlow `fused` and `native` are one program for a stretch of steps; on PyTorch each step is a call.
    """
    return parse_loop(bare_loop(cell.loop))[0] == "fit" or cell.backend == "torch"


def _sweeps(cell: Cell) -> bool:
    return sweeps_tables(bare_loop(cell.loop))


def _device_and_arithmetic(cell: Cell) -> tuple[str, str]:
    return cell.device, precision_of(cell)


def _best_rates(runs: Iterable[Run], cell: Cell) -> Rates | None:
    measured = [run for run in runs if run.matrix_gflop_s and run.memory_gb_s]
    passes = [run.memory_gb_s for run in measured if run.memory_gb_s and _sweeps(run.cell) == _sweeps(cell)]
    if not passes:
        return None
    return Rates(
        matrix_gflop_s=max(run.matrix_gflop_s or 0 for run in measured),
        memory_gb_s=max(passes),
        launch_us=min(run.launch_us or 0 for run in measured) if launches_steps(cell) else 0,
    )


def _over(ends: tuple[float, float] | None, value: float) -> tuple[float, float] | None:
    return None if ends is None else (ends[0] / value, ends[1] / value)
