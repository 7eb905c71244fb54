"""The records of `report.json`, schema `movierank-bench/1`.

`runs` holds the raw samples. `step_time`, `ratios`, `rmse` and `parity` are derived from them (see
`bench.report.summary`) and stored for readers without this package. A change that an old reader could
misunderstand needs a new major schema and an upgrader; new optional keys do not.
"""

from __future__ import annotations

from typing import Literal

from bench.schema.cell import Cell
from bench.schema.derived import FirstStep, Floor, MetricMean, Ratio, ReferenceRmse, Rmse, StepTime, TimeToTarget
from bench.schema.machine import Conditions, Gpu, Machine, Software
from bench.schema.parity import CellEnvelope, Divergence, ParityResult, SeedEnvelope
from bench.schema.profile import Profile
from bench.schema.record import Record
from bench.schema.run import Run, Settings, Status, Workload

Side = Literal["base", "new"]

SIDES: tuple[Side, ...] = ("base", "new")


__all__ = [
    "SCHEMA",
    "Cell",
    "CellEnvelope",
    "Conditions",
    "Divergence",
    "FirstStep",
    "Floor",
    "Gpu",
    "Machine",
    "MetricMean",
    "ParityResult",
    "Ratio",
    "ReferenceRmse",
    "Report",
    "Rmse",
    "Run",
    "SeedEnvelope",
    "Settings",
    "Software",
    "Status",
    "StepTime",
    "TimeToTarget",
    "Together",
    "Workload",
]


SCHEMA = "movierank-bench/1"


class Together(Record, frozen=True, kw_only=True):
    """Marks a report whose rounds were interleaved with another's.

    Attributes:
        id: that only the two of them have.
        side: which one it is.
        interpreter: tells the two Pythons apart where their versions and packages are the same: the beginning of the
            SHA-256 of the path that was asked for; None in a report of a version that did not tell.
    """

    id: str
    side: Literal["base", "new"]
    interpreter: str | None = None


class Report(Record, frozen=True, kw_only=True):
    """One measured report, as stored in `report.json`.

    Attributes:
        schema: `movierank-bench/1`.
        created: start of the measurement, ISO 8601 in UTC.
        finished: end of it; None while it runs or after it was cut off.
        machine: where.
        software: with what.
        workload: what.
        settings: how.
        conditions: what could distort it; None before anybody has looked, and in a report of a version that did not.
        together: where it was measured side by side with another report, whose turns its own are counted with.
        runs: raw samples, one record a worker.
        step_time: derived, one a cell.
        ratios: derived, one a pair of cells.
        rmse: derived, one a cell.
        metrics: derived, one a cell; instead of `rmse`, of a workload of the user's own.
        first_steps: derived, one a cell with at least one first step.
        floors: derived, one a cell of a device whose limits were measured, in the order of `step_time`.
        reference_rmse: derived, one a cell; empty where no oracle was trained.
        time_to_target: derived, one a cell with predictions after each epoch.
        parity: derived from `predictions.npz`, one a pair and stage.
        envelopes: what rounding alone does, one a seed; `parity` was judged by them, if not by `own_envelopes`.
        own_envelopes: what it does to each cell's own trainings, one a cell and seed of which copies were trained.
        divergences: where pairs of trainings first part, one a pair.
        profiles: where a step's time goes, one a cell that was asked for it.
    """

    schema: str
    created: str
    machine: Machine
    software: Software
    workload: Workload
    settings: Settings
    finished: str | None = None
    conditions: Conditions | None = None
    together: Together | None = None
    runs: list[Run] = []
    step_time: list[StepTime] = []
    ratios: list[Ratio] = []
    rmse: list[Rmse] = []
    metrics: list[MetricMean] = []
    first_steps: list[FirstStep] = []
    floors: list[Floor] = []
    reference_rmse: list[ReferenceRmse] = []
    time_to_target: list[TimeToTarget] = []
    parity: list[ParityResult] = []
    envelopes: list[SeedEnvelope] = []
    own_envelopes: list[CellEnvelope] = []
    divergences: list[Divergence] = []
    profiles: list[Profile] = []
