"""What is measured, and the sides that it is measured on: one environment, or two that are compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.measure.process import WorkerProcess
from bench.measure.recorder import Recorder
from bench.schema.cell import Cell
from bench.schema.messages import Job, Ready, Train, Trained, log_name
from bench.schema.run import Settings
from bench.system.compile_cache import with_cache
from bench.system.environment import worker_environment

T = TypeVar("T")

FLOAT64 = {"JAX_ENABLE_X64": "1"}  # JAX narrows float64 to float32 without it


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        cells: cells to measure, in the order of the report.
        settings: how to measure them.
        profile: whether to trace a worker of each cell once it has measured.
    """

    cells: Sequence[Cell]
    settings: Settings
    profile: bool = False


@dataclass(frozen=True, eq=False)
class Side:
    """An environment that is measured, and its report.

    Attributes:
        recorder: stores every reply; runs that it already has as `ok` are not measured again.
        make_job: function that returns the job of a cell's process.
        worker_command: program and arguments of a worker, without the file descriptors.
        variables: variables that a worker's environment starts from.
        name: shown before a cell's name; empty where there is one side.
        slowdown: share by which to prolong its rounds on purpose; for `bench.studies.power`.
    """

    recorder: Recorder
    make_job: Callable[[Cell, int], Job]
    worker_command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    name: str = ""
    slowdown: float = 0.0

    def called(self, cell: Cell) -> str:
        """Return a cell's name, with the side's before it where it has one."""
        return f"{self.name}:{cell}" if self.name else str(cell)

    def start(self, job: Job, log: Path) -> WorkerProcess:
        """Start a worker in this environment, to which the job is still to be sent.

        Args:
            job: gives the backend, the device, the threads, the arithmetic and the folder for compiled code.
            log: file for its output, relative to the report's directory.

        Raises:
            BenchError: the worker cannot be started.
        """
        environment = worker_environment(job.backend, job.device, job.threads, self.variables)
        if job.precision == "float64":
            environment |= FLOAT64
        if job.compile_cache is not None:
            environment = with_cache(environment, Path(job.compile_cache))
        settings = self.recorder.report.settings
        return WorkerProcess(self.worker_command, environment, self.recorder.directory / log, settings.timeout_s)

    def train(
        self, job: Job, what: str, copies: Iterable[int | None], keep: Callable[[int | None, Trained], T]
    ) -> list[T]:
        """Have one worker train again and again, and return what `keep` makes of each training.

        Args:
            job: names the file that holds a training's values when `keep` is called.
            what: ends the name of the worker's log.
            copies: numbers of permuted copies; None for the training itself.
            keep: called with the number and the reply after each training.

        Raises:
            BenchError: the worker cannot be started, or raised by `keep`.
            WorkerLostError: the worker cannot go on.
        """
        log = log_name(job.backend, job.device, job.loop, job.process)
        with self.start(job, log.with_stem(f"{log.stem}-{what}")) as worker:
            worker.ask(job, Ready)
            return [keep(copy, worker.ask(Train(copy=copy), Trained)) for copy in copies]
