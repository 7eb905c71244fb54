"""The records of `report.json` on what a training ends at, and how long it takes to get there."""

from __future__ import annotations

from bench.parity_records import Verdict
from bench.record import Record


class ReferenceRmse(Record, frozen=True, kw_only=True):
    """Final test RMSE of one cell beside the float64 oracle's from the same initial weights.

    Attributes:
        backend, device, loop: the cell.
        mean: of the cell, over the seeds that the oracle trained too.
        difference: of the cell's RMSE from the oracle's, the mean over those seeds. What a seed does to both cancels.
        ci95: Student-t interval of `difference`; None with one seed.
        seeds: distinct seeds that these rest on.
        reference_mean: of the oracle, over all its seeds.
        reference_sd: of the oracle, over all its seeds; None with one.
        reference_seeds: seeds that the oracle trained.
        reference_95: where the mean of `seeds` trainings of the oracle from other seeds lies in 95 % of cases; None
            with one seed of the oracle. The fewer its seeds, the less this can refuse.
        verdict: whether `mean` lies in `reference_95`; None without it.
    """

    backend: str
    device: str
    loop: str
    mean: float
    difference: float
    ci95: tuple[float, float] | None
    seeds: int
    reference_mean: float
    reference_sd: float | None
    reference_seeds: int
    reference_95: tuple[float, float] | None
    verdict: Verdict | None


class TimeToTarget(Record, frozen=True, kw_only=True):
    """How long one cell trains until its test RMSE, or an own workload's metric, is at a target or better.

    The time is that of the training steps at steady speed, up to the end of the first epoch after which the target is
    met. Importing, building, compiling and evaluating are left out.

    Attributes:
        backend, device, loop: the cell.
        target: test RMSE in label units; of a workload of the user's own, of its metric.
        typical_s: time in seconds of the processes that reached the target and no others; None where none did, or
            no round of theirs counts. It is the geometric mean over seeds of the epochs needed, times that over
            processes of the time of an epoch, from the rounds that count (`bench.calm_rounds`).
        ci95_s: its 95 % interval, for other processes and other seeds both; None where fewer than two processes or two
            seeds reached the target.
        reached: processes that reached the target within the epochs trained.
        processes: processes that were trained and timed.
        seeds: of the initial weights, one a process, in the order of the processes.
        epochs: until the target was met, in the same order; None where it never was.
    """

    backend: str
    device: str
    loop: str
    target: float
    typical_s: float | None
    ci95_s: tuple[float, float] | None
    reached: int
    processes: int
    seeds: list[int]
    epochs: list[int | None]
