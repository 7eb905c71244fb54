"""What is measured, and the sides, or environments, it is measured on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure.process import WorkerProcess
from bench.measure.recorder import Recorder
from bench.schema.cell import Cell
from bench.schema.messages import Job
from bench.schema.run import Settings
from bench.system.compile_cache import with_cache
from bench.system.environment import worker_environment


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        cells: to measure, in the order of the report.
        settings: how.
        profile: whether a worker of each cell is traced once it has measured.
    """

    cells: Sequence[Cell]
    settings: Settings
    profile: bool = False


@dataclass(frozen=True, eq=False)
class Side:
    """An environment that is measured, and where.

    Attributes:
        recorder: takes every answer; runs that it already has as `ok` are not measured again.
        make_job: returns the job of a cell's process.
        worker_command: program and arguments of a worker, without the file descriptors.
        variables: that a worker's environment starts from.
        name: told with a cell where there are several sides.
    """

    recorder: Recorder
    make_job: Callable[[Cell, int], Job]
    worker_command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    name: str = ""

    def called(self, cell: Cell) -> str:
        """Returns a cell's name, with the side's before it where it has one."""
        return f"{self.name}:{cell}" if self.name else str(cell)


def start_worker(side: Side, job: Job, threads: int, log: Path) -> WorkerProcess:
    """Starts the worker for a job, which it is not yet told.

    Args:
        side: whose environment it has.
        job: tells the backend, the device and where compiled code is kept.
        threads: of a worker.
        log: relative to the report's directory.

    Raises:
        BenchError: it cannot be started.
    """
    environment = worker_environment(job.backend, job.device, threads, side.variables)
    if job.compile_cache is not None:
        environment = with_cache(environment, Path(job.compile_cache))
    return WorkerProcess(side.worker_command, environment, side.recorder.directory / log)
