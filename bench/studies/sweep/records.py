"""What `python -m bench sweep` found, as it is stored in `sweep.json`, schema `movierank-bench-sweep/1`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.schema.cell import Cell
from bench.schema.machine import Machine, Software
from bench.schema.record import Record
from bench.statistics.cost_model import CostModel
from bench.studies.sweep.axes import Over

SCHEMA = "movierank-bench-sweep/1"
SWEEP_NAME = "sweep.json"
POINTS_NAME = "points"


class SweepSettings(Record, frozen=True, kw_only=True):
    """What was asked for; a sweep is only gone on with where it is the same, `processes` apart.

    Attributes:
        over: what the sweep goes over.
        values: of that, ascending.
        datasets: one a value.
        batch_size, embedding_dimension, threads: of all points, apart from what is swept over.
        processes: worker processes a cell and value.
        rounds, round_s, order_seed, timeout_s: as in `bench.schema.run.Settings`.
        cells: in the order asked for.
    """

    over: Over
    values: list[int]
    datasets: list[str]
    batch_size: int
    embedding_dimension: int
    threads: int
    processes: int
    rounds: int
    round_s: float
    order_seed: int
    timeout_s: float
    cells: list[Cell]


class Measured(Record, frozen=True, kw_only=True):
    """One cell at one value.

    Attributes:
        value: of what is swept over.
        cell: backend, device and loop.
        step_time_ms: median over processes of each one's median round; None where none was measured.
        ci95_ms: its 95 % interval; None with fewer than two processes.
        processes: that it rests on.
        examples_per_s: batch size over step time.
        peak_rss_mib: the largest resident memory of these processes.
        peak_device_mib: likewise of a GPU's memory; None on the CPU.
        unsteady: how many of them were still getting faster when timed.
        error: why something is missing; None where nothing is.
        error_status: as `bench.schema.run.Run.status`; None where there is no error.
    """

    value: int
    cell: Cell
    step_time_ms: float | None = None
    ci95_ms: tuple[float, float] | None = None
    processes: int = 0
    examples_per_s: float | None = None
    peak_rss_mib: float | None = None
    peak_device_mib: float | None = None
    unsteady: int = 0
    error: str | None = None
    error_status: str | None = None


class CellModel(Record, frozen=True, kw_only=True):
    """The cost model of one cell.

    Attributes:
        cell: backend, device and loop.
        model: None where too few values were measured.
    """

    cell: Cell
    model: CostModel | None


class Sweep(Record, frozen=True, kw_only=True):
    """A sweep, also one that was cut off.

    Attributes:
        schema: `movierank-bench-sweep/1`.
        created: start of the measurement, ISO 8601 in UTC.
        finished: end of it; None while it runs or after it was cut off.
        settings: what was asked for.
        machine, software: as in a report, at the first point.
        measured: by value, then cell.
        models: one a cell, derived from `measured`.
        warnings: what could have distorted it, of all points.
    """

    schema: str
    created: str
    settings: SweepSettings
    machine: Machine | None = None
    software: Software | None = None
    finished: str | None = None
    measured: list[Measured] = msgspec.field(default_factory=list)
    models: list[CellModel] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)

    def curve(self, cell: Cell) -> list[Measured]:
        """Return the measurements of one cell, by value."""
        return [one for one in self.measured if one.cell == cell and one.step_time_ms is not None]

    def model_of(self, cell: Cell) -> CostModel | None:
        """Return a cell's cost model."""
        return next((one.model for one in self.models if one.cell == cell), None)


def load_sweep(path: Path) -> Sweep:
    """Read a sweep from its directory or file.

    Raises:
        BenchError: there is none, it cannot be read, or it is of another schema.
    """
    file = path / SWEEP_NAME if path.is_dir() else path
    try:
        content = file.read_bytes()
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema != SCHEMA:
            later = "; upgrade movierank-bench" if schema.startswith(SCHEMA[:-1]) else ", and is no sweep"
            raise BenchError(f"{file} has schema {schema}{later}")
        return msgspec.json.decode(content, type=Sweep)
    except FileNotFoundError as error:
        raise BenchError(f"no sweep at {path}: it should hold a {SWEEP_NAME}") from error
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BenchError(f"{file} is not a sweep: {error}") from error


class _Schema(msgspec.Struct):
    schema: str
