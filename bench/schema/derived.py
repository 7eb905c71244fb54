"""What follows from the raw samples, one record a cell or a pair of cells (see `bench.report.summary`)."""

from __future__ import annotations

from typing import Literal

from bench.schema.cell import OfCell
from bench.schema.parity import Verdict
from bench.schema.record import Record


class StepTime(OfCell, frozen=True, kw_only=True):
    """Step time of one cell.

    Attributes:
        backend, device, loop: the cell.
        median_ms: median over processes of each process's median round, in ms.
        ci95_ms: 95 % interval of the cell's typical step time; None with fewer than two processes.
        processes: number of processes that it rests on.
        rounds: number of rounds that it rests on.
        process_sd: scatter between processes as a share, without that of their rounds; None where unknown.
        round_sd: scatter of the rounds of one process as a share; None where unknown.
        modes_ms: typical step time of either group where the processes fall into two; None otherwise.
        apart_rounds: number of further rounds, timed while the machine's cores did not share a cache, that are left
            out; counted in where `calm` is false (`bench.report.rounds`). None where it was not measured.
        apart_slowdown: times as long that a step took in those; None where there is nothing to compare.
        calm: whether enough rounds are left without them; None where it was not measured.
    """

    median_ms: float
    ci95_ms: tuple[float, float] | None
    processes: int
    rounds: int
    process_sd: float | None = None
    round_sd: float | None = None
    modes_ms: tuple[float, float] | None = None
    apart_rounds: int | None = None
    apart_slowdown: float | None = None
    calm: bool | None = None


class Ratio(Record, frozen=True, kw_only=True):
    """Step time of cell `a` over that of cell `b`, from processes measured side by side.

    Attributes:
        a: the slower cell, as `backend/device/loop`.
        b: the faster cell.
        ratio: times as long as one of `b` that a step of `a` takes.
        ci95: its 95 % interval; None with fewer than two pairs of processes.
        pairs: pairs of processes that it rests on.
    """

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float] | None
    pairs: int


class Rmse(OfCell, frozen=True, kw_only=True):
    """Final test RMSE of one cell over seeds.

    Attributes:
        backend, device, loop: the cell.
        mean: mean over seeds.
        ci95: Student-t interval of the mean; None with one seed.
        seeds: distinct seeds that it rests on.
    """

    mean: float
    ci95: tuple[float, float] | None
    seeds: int


class MetricMean(OfCell, frozen=True, kw_only=True):
    """Final test metric of one cell over seeds, of a custom workload.

    Attributes:
        backend, device, loop: the cell.
        metric: name of the metric.
        mean, ci95, seeds: as in `Rmse`.
    """

    metric: str
    mean: float
    ci95: tuple[float, float] | None
    seeds: int


class FirstStep(OfCell, frozen=True, kw_only=True):
    """The first training step of one cell, with tracing and compilation.

    Attributes:
        backend, device, loop: the cell.
        cold_s: median over the processes that found no compiled code, in seconds; None where there are none.
        cold_processes: number of those processes; all, where the framework keeps no compiled code.
        warm_s: median over those that found what an earlier process of the cell had compiled, in seconds.
        warm_processes: number of those processes.
    """

    cold_s: float | None
    cold_processes: int
    warm_s: float | None
    warm_processes: int


class Floor(OfCell, frozen=True, kw_only=True):
    """How far one cell is from the least time that its step can take (`bench.report.floors`, docs/floor.md).

    Attributes:
        backend, device, loop: the cell.
        floor_ms: that time with the rates that the cell's framework reached on this device, in ms. On a GPU it is
            work and launch added up, in every loop, in reports created before 29 November 2026; the longest since.
        bound: the larger of the work's two limits, `arithmetic` or `memory`.
        times_floor: typical step time over `floor_ms`.
        times_floor_ci95: its 95 % interval, that of the step time; None with fewer than two processes.
        best_floor_ms: the same time with the best rates of all frameworks of the report, in ms.
        best_bound: as `bound`.
        times_best_floor: typical step time over `best_floor_ms`.
        times_best_floor_ci95: as `times_floor_ci95`.
    """

    floor_ms: float
    bound: Literal["arithmetic", "memory"]
    times_floor: float
    times_floor_ci95: tuple[float, float] | None
    best_floor_ms: float
    best_bound: Literal["arithmetic", "memory"]
    times_best_floor: float
    times_best_floor_ci95: tuple[float, float] | None


class ReferenceRmse(OfCell, frozen=True, kw_only=True):
    """Final test RMSE of one cell beside the float64 oracle's from the same initial weights.

    Attributes:
        backend, device, loop: the cell.
        mean: mean of the cell over the seeds that the oracle trained too.
        difference: cell's RMSE minus the oracle's, the mean over those seeds; a seed's effect on both cancels.
        ci95: Student-t interval of `difference`; None with one seed.
        seeds: distinct seeds that these rest on.
        reference_mean: mean of the oracle over all its seeds.
        reference_sd: standard deviation of the oracle over all its seeds; None with one.
        reference_seeds: number of seeds that the oracle trained.
        reference_95: where the mean of `seeds` trainings of the oracle from other seeds lies in 95 % of cases; None
            with one seed of the oracle. The fewer its seeds, the less this can refuse.
        verdict: whether `mean` lies in `reference_95`; None without it.
    """

    mean: float
    difference: float
    ci95: tuple[float, float] | None
    seeds: int
    reference_mean: float
    reference_sd: float | None
    reference_seeds: int
    reference_95: tuple[float, float] | None
    verdict: Verdict | None


class TimeToTarget(OfCell, frozen=True, kw_only=True):
    """How long one cell trains until its test RMSE, or a custom workload's metric, is at a target or better.

    The time is that of the training steps at steady speed, up to the end of the first epoch after which the target is
    met. Importing, building, compiling and evaluating are left out.

    Attributes:
        backend, device, loop: the cell.
        target: test RMSE in label units, or a value of a custom workload's metric.
        typical_s: time in seconds of the processes that reached the target and no others; None where none did, or
            no round of theirs counts. It is the geometric mean over seeds of the epochs needed, times that over
            processes of the time of an epoch, from the rounds that count (`bench.report.rounds`).
        ci95_s: its 95 % interval, for other processes and other seeds both; None where fewer than two processes or two
            seeds reached the target.
        reached: processes that reached the target within the epochs trained.
        processes: processes that were trained and timed.
        seeds: seeds of the initial weights, one a process, in the order of the processes.
        epochs: epochs until the target was met, in the same order; None where it never was.
    """

    target: float
    typical_s: float | None
    ci95_s: tuple[float, float] | None
    reached: int
    processes: int
    seeds: list[int]
    epochs: list[int | None]
