"""Records of `report.json` on where a step's time goes (docs/profile.md)."""

from __future__ import annotations

from typing import Literal, get_args

from bench.schema.cell import OfCell
from bench.schema.record import Record

Group = Literal[
    "matrix products",
    "embeddings",
    "optimizer update",
    "other operations",
    "memory copies",
    "input pipeline",
    "runtime",
    "python or waiting",
]

GROUPS: tuple[Group, ...] = get_args(Group)

OPERATIONS: frozenset[Group] = frozenset(GROUPS[:5])  # what the model computes; the others only serve it

IDLE: Group = "python or waiting"  # no event belongs to it: it is the time that the others leave


class ProfileShare(Record, frozen=True, kw_only=True):
    """The time of one kind of work in a step.

    Attributes:
        group: one of `bench.schema.profile.GROUPS`.
        share: share of the traced steps' wall time.
    """

    group: str
    share: float


class ProfiledOperation(Record, frozen=True, kw_only=True):
    """The time of one operation, or one part of the runtime, in a step, without the operations that it calls.

    Attributes:
        name: place in the model that the operation was compiled from, where the framework reports it; else the
            framework's name of the operation.
        group: a group as in `ProfileShare`.
        share: share of the traced steps' wall time; operations that run at the same time each get an equal part of it.
        calls_per_step: number of calls in a step.
    """

    name: str
    group: str
    share: float
    calls_per_step: float


class Profile(OfCell, frozen=True, kw_only=True):
    """The shares of one cell's step time, from a trace of an epoch that was not timed.

    Attributes:
        backend, device, loop: the cell.
        process: index of the worker process that was traced.
        file: path of the trace relative to the report's directory; None where there is none.
        error: reason why there is no trace.
        steps: number of traced steps.
        step_ms: wall time of a step during tracing, in ms; tracing slows a step, so this is not a measurement.
        operations_per_step: number of operations that the profiler saw in a step, callers of others included; unlike
            times, it does not depend on what else the machine did.
        shares: shares of the groups, the largest first; they add up to 1.
        operations: the ten operations that took most time.
    """

    process: int
    file: str | None = None
    error: str | None = None
    steps: int | None = None
    step_ms: float | None = None
    operations_per_step: float | None = None
    shares: list[ProfileShare] = []
    operations: list[ProfiledOperation] = []
