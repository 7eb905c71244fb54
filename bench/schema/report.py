"""The record of a whole `report.json`, schema `movierank-bench/1`.

`runs` holds the raw samples. `step_time`, `ratios`, `rmse` and `parity` are derived from them (see
`bench.report.summary`) and stored for readers without this package. A change that an old reader could
misunderstand needs a new major schema and an upgrader. New optional keys do not.
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
    """The link between two reports whose rounds were interleaved.

    Attributes:
        id: identifier that only these two reports share.
        side: side of this report.
        interpreter: beginning of the SHA-256 of the Python's path as the user gave it, to distinguish two Pythons whose
            versions and packages are the same; None in reports of older versions, which did not record it.
    """

    id: str
    side: Literal["base", "new"]
    interpreter: str | None = None


class Report(Record, frozen=True, kw_only=True):
    """One measured report, as stored in `report.json`.

    Attributes:
        schema: `movierank-bench/1`.
        created: start of the measurement, ISO 8601 in UTC.
        finished: end of the measurement, ISO 8601 in UTC; None while it runs or after it was cut off.
        machine: the machine that measured.
        software: the software that was measured.
        workload: the model, its data and its training.
        settings: the design of the measurement.
        conditions: conditions that could distort the measurement; None before they are first recorded, and in reports
            of older versions, which did not record them.
        together: link to a report that was measured side by side with this one and shares its count of turns; None for
            a report measured alone.
        runs: raw samples, one record a worker.
        step_time: step times, derived, one record a cell.
        ratios: ratios of step times, derived, one record a pair of cells.
        rmse: test RMSEs, derived, one record a cell.
        metrics: test metrics of a custom workload in place of `rmse`, derived, one record a cell.
        first_steps: first training steps, derived, one record a cell with at least one of them.
        floors: lower limits of the step time, derived, one record a cell of a device whose limits were measured, in the
            order of `step_time`.
        reference_rmse: test RMSEs beside the oracle's, derived, one record a cell; empty where no oracle was trained.
        time_to_target: training times up to a target, derived, one record a cell with predictions after each epoch.
        parity: distances between trainings, derived from `predictions.npz`, one record a pair and stage.
        envelopes: effect of rounding alone, one record a seed; `parity` was judged by them unless by `own_envelopes`.
        own_envelopes: effect of rounding alone on each cell's own trainings, one record a cell and seed whose copies
            were trained.
        divergences: first steps at which two trainings differ by more than rounding, one record a pair.
        profiles: shares of a step's time, one record a cell that was profiled.
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
