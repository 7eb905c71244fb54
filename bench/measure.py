"""Measure one report: claim its directory, prepare the data, supervise the workers, judge parity."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.conditions import noting_conditions
from bench.convergence import learning_curve, rmse_by_epoch, time_to_target
from bench.convergence_records import TimeToTarget
from bench.environment import worker_environment
from bench.errors import BenchError
from bench.interrupts import interruptible, interrupts_held
from bench.machine import describe_machine
from bench.options import Options
from bench.parity_check import Parity, check_parity
from bench.precision import precision_of
from bench.predictions import MOST_STORED, Arrays, stages_of
from bench.progress import Progress
from bench.protocol import Job
from bench.recorder import Recorder, now, stored_arrays
from bench.report import SCHEMA, Cell, Report, Run, Software, Together, Workload
from bench.report_file import PAGE_NAME, PREDICTIONS_NAME, REPORT_NAME, claimed, load_report
from bench.software import describe_software
from bench.supervisor import Plan, Side, Supervisor
from movierank.datasets import load_dataset
from movierank.errors import MovierankError
from movierank.ratings import Dataset
from movierank.splits import Split, default_split, split_ratings

PARITY_EXAMPLES = 2_000_000  # the oracle needs some 5 s for a million examples; above this, parity only on request
EARLY_PARAMETERS = 2_000_000  # in the tables; six copies of more would make predictions.npz too large to keep
OWN_FILES = (REPORT_NAME, PREDICTIONS_NAME, PAGE_NAME)


@dataclass(frozen=True)
class Environment:
    """A Python whose packages are measured, and what else its report is to say.

    Attributes:
        software: its packages, and the variables that all its workers have.
        variables: that a worker's environment starts from.
        together: marks a report of two that are measured together.
    """

    software: Software
    variables: Mapping[str, str]
    together: Together | None = None


def own_environment(options: Options) -> Environment:
    """Returns the environment that this program runs in."""
    return Environment(describe_software(shared_variables(options, os.environ)), dict(os.environ))


def shared_variables(options: Options, inherited: Mapping[str, str]) -> dict[str, str]:
    """Returns what all workers of the first cell's device have in common, of what they start from."""
    cell = options.cells[0]
    variables = worker_environment(cell.backend, cell.device, options.threads, inherited)
    del variables["KERAS_BACKEND"]  # a cell's own
    return variables


def measure(options: Options, console: Console) -> Report:
    """Measures and returns the report, which then lies in `options.output`.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in `options.output`, valid.
    """
    (report,) = measure_sides([(options, own_environment(options))], console)
    return report


def measure_sides(asked: Sequence[tuple[Options, Environment]], console: Console) -> list[Report]:
    """Measures a report for each of one or two environments, the rounds of all interleaved.

    Args:
        asked: options, which differ in `output` and `worker_command` alone, and of which environment.
        console: where progress is shown.

    Raises:
        BenchError: bad input, or an output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the outputs, valid.
    """
    options = asked[0][0]
    for each, _ in asked:
        _refuse_existing(each)
    dataset, split = load_workload(options, console)
    workload = _workload(options, dataset, split)
    judges = options.parity if options.parity is not None else len(split.train) * options.epochs <= PARITY_EXAMPLES
    with interrupts_held(), contextlib.ExitStack() as claims:
        folders = [claims.enter_context(claimed(each.output)) for each, _ in asked]
        for each, _ in asked:
            _refuse_existing(each)  # another run may have written one while the data was loaded
        sides = [_side(*each, workload, parts, judges) for each, parts in zip(asked, folders, strict=True)]
        settings = sides[0].recorder.report.settings
        plan = Plan(cells=options.cells, settings=settings)
        answers = len(sides) * len(options.cells) * settings.processes * (settings.rounds + 3 + settings.trains)
        with (
            Progress(console, None if settings.adaptive else answers) as progress,
            contextlib.ExitStack() as watched,
        ):
            for side in sides:
                watched.enter_context(noting_conditions(side.recorder, options.watch_s))
            Supervisor(plan, sides, progress).measure()
        return [
            _finished(side.recorder, options, split, parts, judges, console)
            for side, parts in zip(sides, folders, strict=True)
        ]


def _side(options: Options, environment: Environment, workload: Workload, parts: Path, judges: bool) -> Side:
    return Side(
        recorder=_recorder(options, workload, environment),
        make_job=lambda cell, process: _job(options, workload, cell, process, parts, judges),
        worker_command=options.worker_command,
        variables=environment.variables,
        name=environment.together.side if environment.together else "",
    )


def _finished(
    recorder: Recorder, options: Options, split: Split, parts: Path, judges: bool, console: Console
) -> Report:
    workload, parity = recorder.report.workload, Parity()
    if judges:
        with interruptible():
            parity = check_parity(
                recorder.runs,
                recorder.arrays,
                workload,
                split,
                threads=recorder.report.settings.threads,
                folder=parts,
                say=lambda line: console.print(line, highlight=False, markup=False),
            )
    return recorder.finish(parity, _time_to_target(recorder, workload, split, options.target_rmse))


def _time_to_target(recorder: Recorder, workload: Workload, split: Split, target: float) -> list[TimeToTarget]:
    label = split.test.take(slice(0, MOST_STORED)).label
    curves = [
        learning_curve(
            run,
            rmse_by_epoch(_epochs_of(run, recorder, len(label)), label),
            num_train=workload.num_train,
            batch_size=workload.batch_size,
        )
        for run in recorder.runs
    ]
    return time_to_target([curve for curve in curves if curve is not None], target)


def _epochs_of(run: Run, recorder: Recorder, count: int) -> Arrays:
    """Returns the predictions after each epoch; none where they are not of the `count` ratings that are stored."""
    stages = {stage: array for stage, array in stages_of(run, recorder.arrays).items() if stage.startswith("epoch ")}
    return stages if all(array.shape == (count,) for array in stages.values()) else {}


def _refuse_existing(options: Options) -> None:
    if options.existing == "refuse" and (options.output / REPORT_NAME).exists():
        raise BenchError(f"{options.output} already holds a report; choose another --output, --resume or --overwrite")


def load_workload(options: Options, console: Console) -> tuple[Dataset, Split]:
    """Opens the data that is asked for, preparing it where it is not, and splits it.

    Raises:
        BenchError: there is no such data or split, or a batch is larger than the train part.
    """
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


def _job(options: Options, workload: Workload, cell: Cell, process: int, parts: Path, judges: bool) -> Job:
    rows = workload.num_users + workload.num_movies
    return Job(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        process=process,
        seed=process % options.seeds,
        threads=options.threads,
        dataset=workload.dataset,
        data_source=options.data_source,
        data_path=None if options.data_path is None else str(options.data_path.absolute()),
        sha256=workload.sha256,
        split=workload.split,
        batch_size=options.batch_size,
        epochs=options.epochs,
        embedding_dimension=options.embedding_dimension,
        learning_rate=options.learning_rate,
        init=options.init,
        round_s=options.round_s,
        predictions=str((parts / f"{cell.backend}-{cell.device}-{cell.loop}-{process}.npz").absolute()),
        stored_predictions=MOST_STORED,
        precision=precision_of(cell),
        trains=options.trains,
        early_stages=judges
        and options.init == "shared"
        and process == 0
        and rows * workload.embedding_dimension <= EARLY_PARAMETERS,
    )


def _recorder(options: Options, workload: Workload, environment: Environment) -> Recorder:
    fresh = Report(
        schema=SCHEMA,
        created=now(),
        machine=describe_machine(),
        software=environment.software,
        workload=workload,
        settings=options.settings(),
        together=environment.together,
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
            together=stored.together,
            runs=stored.runs,
        ),
        stored_arrays(options.output),
    )


def _clear(directory: Path) -> None:
    for name in OWN_FILES:
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / "logs", ignore_errors=True)


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables without the hash seed, which tox draws anew each time."""
    return {name: value for name, value in environment.items() if name != "PYTHONHASHSEED"}


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
        "training before timing": (stored.settings.trains, fresh.settings.trains),
        "processor": (stored.machine.cpu_model, fresh.machine.cpu_model),
        "number of usable cores": (stored.machine.usable_cores, fresh.machine.usable_cores),
        "package versions": (stored.software.packages, fresh.software.packages),
        "environment": (_lasting(stored.software.environment), _lasting(fresh.software.environment)),
        "report it was measured together with": (stored.together, fresh.together),
        "git commit": (stored.software.git_commit, fresh.software.git_commit),
    }
    for name, (before, today) in pairs.items():
        if before != today:
            raise BenchError(f"cannot resume: the {name} differs from the stored report's; choose another --output")
