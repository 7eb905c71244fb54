"""The records of `report.json` on where a step's time goes (docs/profile.md)."""

from __future__ import annotations

from typing import Literal, get_args

from bench.schema.cell import Cell
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

IDLE: Group = "python or waiting"  # of no event: it is what the others leave


class ProfileShare(Record, frozen=True, kw_only=True):
    """What one kind of work takes of a step.

    Attributes:
        group: one of `bench.schema.profile.GROUPS`.
        share: of the traced steps' wall time.
    """

    group: str
    share: float


class ProfiledOperation(Record, frozen=True, kw_only=True):
    """What one operation, or one part of the runtime, takes of a step, what it calls not counted.

    Attributes:
        name: the place in the model that it was compiled from where the framework tells that, else the framework's
            own name for it.
        group: as in `ProfileShare`.
        share: of the traced steps' wall time; where several operations run at once, each has an equal part of it.
        calls_per_step: how often it ran.
    """

    name: str
    group: str
    share: float
    calls_per_step: float


class Profile(Record, frozen=True, kw_only=True):
    """Where the time of one cell's steps goes, from a trace of an epoch that was not timed.

    Attributes:
        backend, device, loop: the cell.
        process: whose worker was traced.
        file: the trace, as a path relative to the report's directory; None where there is none.
        error: why there is none.
        steps: that were traced.
        step_ms: wall time of a step while it was traced, which slows it; no measurement.
        operations_per_step: how many the profiler saw, what called another one counted too; unlike times, it does not
            depend on what else the machine did.
        shares: by group, the largest first; they add up to 1.
        operations: that took most, the first ten.
    """

    backend: str
    device: str
    loop: str
    process: int
    file: str | None = None
    error: str | None = None
    steps: int | None = None
    step_ms: float | None = None
    operations_per_step: float | None = None
    shares: list[ProfileShare] = []
    operations: list[ProfiledOperation] = []

    @property
    def cell(self) -> Cell:
        """The cell that this is about."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)
