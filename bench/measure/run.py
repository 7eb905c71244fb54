"""Measure one report: claim its directory, prepare the data, supervise the workers, judge parity."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError
from bench.measure.conditions import noting_conditions, tell_conditions
from bench.measure.copies import measure_own_envelopes
from bench.measure.custom_workload import OwnWorkload, describe, refuse_what_is_built_in, with_own
from bench.measure.opening import Environment, open_recorder, own_environment
from bench.measure.options import Options
from bench.measure.plan import Plan, Side
from bench.measure.progress import Progress
from bench.measure.references import BackendTrainer, NumpyTrainer, check_parity
from bench.measure.supervisor import Supervisor
from bench.parity.trainings import Parity
from bench.report.file import REPORT_NAME, claimed
from bench.report.predictions import MOST_STORED
from bench.report.time_to_target import time_to_metric, time_to_rmse
from bench.schema.cell import Cell, precision_of
from bench.schema.messages import Job
from bench.schema.report import Report
from bench.schema.run import Workload
from bench.system.interrupts import interrupts_held
from bench.system.snapshot import take_snapshot
from bench.system.watch import watch_of
from movierank.data.datasets import load_dataset
from movierank.data.ratings import Dataset
from movierank.data.splits import Split, default_split, split_ratings
from movierank.errors import MovierankError

PARITY_EXAMPLES = 2_000_000  # the oracle needs some 5 s for a million examples; above this, parity only on request
EARLY_PARAMETERS = 2_000_000  # in the tables; six copies of more would make predictions.npz too large to keep


def measure(options: Options, console: Console, *, tell_noise: bool = True) -> Report:
    """Measures and returns the report, which then lies in `options.output`.

    Args:
        options: what and how.
        console: where progress is shown.
        tell_noise: whether to say first what could distort it.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in `options.output`, valid.
    """
    (report,) = measure_sides([(options, own_environment(options))], console, tell_noise=tell_noise)
    return report


def measure_sides(
    asked: Sequence[tuple[Options, Environment]], console: Console, *, tell_noise: bool = True
) -> list[Report]:
    """Measures a report for each of one or two environments, the rounds of all interleaved.

    Args:
        asked: options, which differ in `output` and `worker_command` alone, and of which environment.
        console: where progress is shown.
        tell_noise: whether to say first what could distort it.

    Raises:
        BenchError: bad input, or an output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the outputs, valid.
    """
    options = asked[0][0]
    for each, _ in asked:
        _refuse_existing(each)
    split: Split | None = None
    if options.workload is None:
        dataset, split = load_workload(options, console)
        workload = _workload(options, dataset, split)
    else:
        refuse_what_is_built_in(options)
    with interrupts_held(), contextlib.ExitStack() as claims:
        folders = [claims.enter_context(claimed(each.output)) for each, _ in asked]
        for each, _ in asked:
            _refuse_existing(each)  # another run may have written one while the data was loaded
        own = None
        if options.workload is not None:
            own = describe(options, asked[0][1].variables, options.worker_command, folders[0])
            workload, options = own.record, with_own(options, own)
            asked = [(with_own(each, own), environment) for each, environment in asked]
        judges = _judges(options, workload)
        sides = [_side(*each, workload, parts, judges, own) for each, parts in zip(asked, folders, strict=True)]
        settings = sides[0].recorder.report.settings
        plan = Plan(cells=options.cells, settings=settings, profile=options.profile)
        before = take_snapshot(sample_s=options.watch_s)
        if tell_noise:
            tell_conditions(before, sides[0].recorder.report.machine, settings.threads, console)
        with (
            noting_conditions([side.recorder for side in sides], before) as note_conditions,
            Progress(console, settings, sides, options.cells) as progress,
        ):
            watch = watch_of(settings.threads, options.patience_s)
            Supervisor(plan, sides, progress, watch, note_conditions).measure()
        return [
            _finished(side, options, split, own, parts, judges, console)
            for side, parts in zip(sides, folders, strict=True)
        ]


def _judges(options: Options, workload: Workload) -> bool:
    """Returns whether parity is judged: as asked for, else where it takes seconds; where it means something."""
    if workload.not_judged is not None or workload.init == "backend":
        return False
    if options.parity is not None:
        return options.parity
    return options.envelope == "backend" or workload.num_train * workload.epochs <= PARITY_EXAMPLES


def _side(
    options: Options,
    environment: Environment,
    workload: Workload,
    parts: Path,
    judges: bool,
    own: OwnWorkload | None,
) -> Side:
    return Side(
        recorder=open_recorder(options, workload, environment),
        make_job=lambda cell, process: _job(options, workload, cell, process, parts, judges, own),
        worker_command=options.worker_command,
        variables=environment.variables,
        name=environment.together.side if environment.together else "",
        slowdown=environment.slowdown,
    )


def _finished(
    side: Side,
    options: Options,
    split: Split | None,
    own: OwnWorkload | None,
    parts: Path,
    judges: bool,
    console: Console,
) -> Report:
    recorder = side.recorder
    workload, parity = recorder.report.workload, Parity()

    def say(line: str) -> None:
        console.print(line)

    if own is not None:
        if judges:
            parity = check_parity(recorder, BackendTrainer(side, own.described, parts), say)
        return recorder.finish(parity, time_to_metric(recorder.runs, workload))
    if split is None:
        raise TypeError("the built-in workload has a split")
    if options.envelope == "backend":
        measure_own_envelopes(side, split, options.copies, parts, say)
    if judges:
        parity = check_parity(recorder, NumpyTrainer(workload, split, options.threads, parts), say)
    return recorder.finish(parity, time_to_rmse(recorder.runs, recorder.arrays, workload, split, options.target_rmse))


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
            progress=console.print,
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


def _job(
    options: Options,
    workload: Workload,
    cell: Cell,
    process: int,
    parts: Path,
    judges: bool,
    own: OwnWorkload | None,
) -> Job:
    tables = (workload.num_users + workload.num_movies) * workload.embedding_dimension
    parameters = tables if workload.parameters is None else workload.parameters
    seed = process % options.seeds
    return Job(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        process=process,
        seed=seed,
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
        stored_predictions=MOST_STORED if own is None else own.stored,
        precision=precision_of(cell),
        trains=options.trains,
        compile_cache=str((parts / f"{cell.backend}-{cell.device}-{cell.loop}".replace(":", "-")).absolute()),
        early_stages=judges and options.init == "shared" and process == 0 and parameters <= EARLY_PARAMETERS,
        custom=None if own is None else own.part_of_job(seed),
    )
