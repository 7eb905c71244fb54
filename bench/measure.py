"""Measure one report: claim its directory, prepare the data, supervise the workers, judge parity."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console

from bench.conditions import SAMPLE_S, noting_conditions
from bench.environment import usable_cores, worker_environment
from bench.errors import BenchError
from bench.interrupts import interruptible, interrupts_held
from bench.machine import describe_machine
from bench.parity_check import check_parity
from bench.predictions import MOST_STORED
from bench.progress import Progress
from bench.protocol import Job
from bench.recorder import Recorder, now, stored_arrays
from bench.report import SCHEMA, Cell, Report, Settings, Workload
from bench.report_file import PREDICTIONS_NAME, REPORT_NAME, claimed, load_report
from bench.software import describe_software
from bench.supervisor import Plan, Supervisor
from movierank.datasets import load_dataset
from movierank.errors import MovierankError
from movierank.ratings import Dataset
from movierank.splits import Split, default_split, split_ratings

WORKER_COMMAND = (sys.executable, "-m", "bench.worker")
PARITY_EXAMPLES = 2_000_000  # the oracle needs some 5 s for a million examples; above this, parity only on request
DEFAULT_BUDGET_S = 300.0  # where a precision is asked for: a noisy machine may never reach it
OWN_FILES = (REPORT_NAME, PREDICTIONS_NAME, "report.html")


@dataclass(frozen=True)
class Options:
    """What to measure and how; the attributes not told here are as in `bench.report.Workload` and `Settings`.

    Five processes, since with three a cell of two modes is seen as one in a quarter of all runs; five rounds, since
    where processes and rounds scatter alike (some 10 % each, on two shared cores) and a process costs what fifteen
    rounds cost, more of them add less than another process would (`bench.variance`).

    Attributes:
        cells: what to compare.
        output: directory of the report.
        data_source: as for `movierank.datasets.load_dataset`.
        data_path: as for `movierank.datasets.load_dataset`.
        split: None for the dataset's own default.
        parity: None to judge parity where the oracle takes seconds, as on MovieLens 100K.
        existing: what to do when `output` already holds a report.
        watch_s: how long to watch, in seconds, what other processes use before the first worker starts.
        worker_command: program and arguments of a worker.
    """

    cells: Sequence[Cell]
    output: Path
    dataset: str = "100k"
    data_source: str = "auto"
    data_path: Path | None = None
    split: str | None = None
    batch_size: int = 1000
    epochs: int = 5
    embedding_dimension: int = 32
    learning_rate: float = 0.1
    init: Literal["shared", "backend"] = "shared"
    processes: int = 5
    seeds: int = 3
    rounds: int = 5
    round_s: float = 0.4
    threads: int = field(default_factory=usable_cores)
    order_seed: int = 0
    timeout_s: float = 600.0
    precision: float | None = None
    budget_s: float | None = None
    parity: bool | None = None
    existing: Literal["refuse", "resume", "overwrite"] = "refuse"
    worker_command: Sequence[str] = WORKER_COMMAND
    watch_s: float = SAMPLE_S

    def __post_init__(self) -> None:
        """Refuses numbers that mean nothing.

        Raises:
            BenchError: naming the option.
        """
        counts = ("batch_size", "epochs", "embedding_dimension", "processes", "seeds", "rounds", "threads")
        for name in counts:
            if getattr(self, name) < 1:
                raise BenchError(f"--{name.replace('_', '-')} must be at least 1; received {getattr(self, name)}")
        for name, option in (
            ("learning_rate", "--learning-rate"),
            ("round_s", "--round-seconds"),
            ("timeout_s", "--timeout"),
            ("precision", "--precision"),
            ("budget_s", "--budget"),
        ):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise BenchError(f"{option} must be above 0; received {getattr(self, name)}")


def measure(options: Options, console: Console) -> Report:
    """Measures and returns the report, which then lies in `options.output`.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in `options.output`, valid.
    """
    _refuse_existing(options)
    dataset, split = _load(options, console)
    workload = _workload(options, dataset, split)
    with interrupts_held(), claimed(options.output) as parts:
        _refuse_existing(options)  # another run may have written one while the data was loaded
        recorder = _recorder(options, workload)
        settings = recorder.report.settings
        plan = Plan(
            cells=options.cells,
            settings=settings,
            make_job=lambda cell, process: _job(options, workload, cell, process, parts),
            worker_command=options.worker_command,
        )
        answers = len(options.cells) * settings.processes * (settings.rounds + 4)
        with (
            Progress(console, None if settings.adaptive else answers) as progress,
            noting_conditions(recorder, options.watch_s),
        ):
            Supervisor(plan, recorder, progress).measure()
        judge = options.parity if options.parity is not None else len(split.train) * options.epochs <= PARITY_EXAMPLES
        parity = []
        if judge:
            with interruptible():
                parity = check_parity(
                    recorder.runs,
                    recorder.arrays,
                    workload,
                    split,
                    threads=settings.threads,
                    folder=parts,
                    say=lambda line: console.print(line, highlight=False, markup=False),
                )
        return recorder.finish(parity)


def _refuse_existing(options: Options) -> None:
    if options.existing == "refuse" and (options.output / REPORT_NAME).exists():
        raise BenchError(f"{options.output} already holds a report; choose another --output, --resume or --overwrite")


def _load(options: Options, console: Console) -> tuple[Dataset, Split]:
    try:
        dataset = load_dataset(
            options.dataset,
            source=options.data_source,
            path=options.data_path,
            progress=lambda line: console.print(line, highlight=False, markup=False),
        )
        split = split_ratings(dataset, options.split or default_split(options.dataset))
    except MovierankError as error:
        raise BenchError(str(error)) from error
    if options.batch_size > len(split.train):
        raise BenchError(
            f"--batch-size {options.batch_size} is larger than the train part ({len(split.train):,} ratings)"
        )
    return dataset, split


def _workload(options: Options, dataset: Dataset, split: Split) -> Workload:
    return Workload(
        dataset=dataset.name,
        source=dataset.source,
        sha256=dataset.sha256,
        split=split.name,
        num_users=dataset.num_users,
        num_movies=dataset.num_movies,
        num_train=len(split.train),
        num_test=len(split.test),
        batch_size=options.batch_size,
        epochs=options.epochs,
        embedding_dimension=options.embedding_dimension,
        learning_rate=options.learning_rate,
        init=options.init,
    )


def _settings(options: Options) -> Settings:
    return Settings(
        processes=max(options.processes, options.seeds),  # a process trains one seed
        rounds=options.rounds,
        seeds=options.seeds,
        round_s=options.round_s,
        threads=options.threads,
        order_seed=options.order_seed,
        timeout_s=options.timeout_s,
        precision=options.precision,
        budget_s=DEFAULT_BUDGET_S if options.budget_s is None and options.precision is not None else options.budget_s,
    )


def _job(options: Options, workload: Workload, cell: Cell, process: int, parts: Path) -> Job:
    return Job(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        process=process,
        seed=process % options.seeds,
        threads=options.threads,
        dataset=workload.dataset,
        data_source=workload.source,
        data_path=None if options.data_path is None else str(options.data_path.absolute()),
        split=workload.split,
        batch_size=options.batch_size,
        epochs=options.epochs,
        embedding_dimension=options.embedding_dimension,
        learning_rate=options.learning_rate,
        init=options.init,
        round_s=options.round_s,
        predictions=str((parts / f"{cell.backend}-{cell.device}-{cell.loop}-{process}.npz").absolute()),
        stored_predictions=MOST_STORED,
    )


def _recorder(options: Options, workload: Workload) -> Recorder:
    cell = options.cells[0]
    fresh = Report(
        schema=SCHEMA,
        created=now(),
        machine=describe_machine(),
        software=describe_software(worker_environment(cell.backend, cell.device, options.threads, os.environ)),
        workload=workload,
        settings=_settings(options),
    )
    if options.existing == "overwrite":
        _clear(options.output)
    if not (options.output / REPORT_NAME).exists():
        recorder = Recorder(options.output, fresh, {})
        recorder.save()
        return recorder
    stored = load_report(options.output)
    _refuse_other(stored, fresh)
    return Recorder(
        options.output,
        Report(
            schema=SCHEMA,
            created=stored.created,
            machine=stored.machine,
            software=stored.software,
            workload=workload,
            settings=fresh.settings,
            conditions=stored.conditions,
            runs=stored.runs,
        ),
        stored_arrays(options.output),
    )


def _clear(directory: Path) -> None:
    for name in OWN_FILES:
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / "logs", ignore_errors=True)


def _refuse_other(stored: Report, fresh: Report) -> None:
    """Refuses to go on with a report of something else.

    Raises:
        BenchError: naming what differs.
    """
    pairs = {
        "workload": (stored.workload, fresh.workload),
        "threads": (stored.settings.threads, fresh.settings.threads),
        "round length": (stored.settings.round_s, fresh.settings.round_s),
        "seeds": (stored.settings.seeds, fresh.settings.seeds),
        "processor": (stored.machine.cpu_model, fresh.machine.cpu_model),
        "package versions": (stored.software.packages, fresh.software.packages),
    }
    for name, (before, today) in pairs.items():
        if before != today:
            raise BenchError(f"cannot resume: the {name} differs from the stored report's; choose another --output")
