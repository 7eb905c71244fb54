"""The experiment: load the workload, describe it, measure generations of workers, judge their parity, finish."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError
from bench.measure.conditions import noting_conditions, print_conditions
from bench.measure.custom_workload import describe, refuse_built_in_options
from bench.measure.opening import Environment, open_recorder, this_environment
from bench.measure.options import Options
from bench.measure.plan import Plan, Side
from bench.measure.progress import Progress
from bench.measure.ranking_workload import RankingSubject
from bench.measure.subject import Subject
from bench.measure.supervisor import Supervisor
from bench.parity.trainings import Parity
from bench.report.file import REPORT_NAME, claimed
from bench.schema.report import Report
from bench.system.interrupts import interrupts_held
from bench.system.snapshot import take_snapshot
from bench.system.watch import watch_of


def measure(options: Options, console: Console, *, show_noise: bool = True) -> Report:
    """Measure and return the report, which then lies in `options.output`.

    Args:
        options: what to measure and how.
        console: where progress is shown.
        show_noise: whether to print first what could distort the measurement.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in `options.output`, valid.
    """
    (report,) = measure_sides([(options, this_environment(options))], console, show_noise=show_noise)
    return report


def measure_sides(
    asked: Sequence[tuple[Options, Environment]], console: Console, *, show_noise: bool = True
) -> list[Report]:
    """Measure a report for each of one or two environments, the rounds of all interleaved.

    Args:
        asked: options and environment of each; options differ in `output` and `worker_command` alone.
        console: where progress is shown.
        show_noise: whether to print first what could distort the measurement.

    Raises:
        BenchError: bad input, or an output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the outputs, valid.
    """
    _refuse_existing(asked)
    described = _load(asked[0][0], console)
    with interrupts_held(), contextlib.ExitStack() as claims:
        folders = [claims.enter_context(claimed(options.output)) for options, _ in asked]
        _refuse_existing(asked)  # another run may have written one while the data was loaded
        subject = described(asked[0][1], folders[0])
        sides = [_side(*each, subject, folder) for each, folder in zip(asked, folders, strict=True)]
        _measure_generations(asked[0][0], sides, console, show_noise=show_noise)
        return [_finished(side, subject, folder, console) for side, folder in zip(sides, folders, strict=True)]


def _load(options: Options, console: Console) -> Callable[[Environment, Path], Subject]:
    """Return the function that describes the workload, with the data of the built-in one loaded already.

    Its arguments are the environment to describe a custom workload in, and the folder for its initial weights.
    """
    if options.workload is None:
        subject = RankingSubject.load(options, console)
        return lambda environment, folder: subject
    refuse_built_in_options(options)
    return lambda environment, folder: describe(options, environment.variables, folder)


def _side(options: Options, environment: Environment, subject: Subject, folder: Path) -> Side:
    return Side(
        recorder=open_recorder(options, subject.record, environment),
        make_job=lambda cell, process: subject.job(cell, process, folder),
        worker_command=options.worker_command,
        variables=environment.variables,
        name=environment.together.side if environment.together else "",
        slowdown=environment.slowdown,
    )


def _measure_generations(options: Options, sides: Sequence[Side], console: Console, *, show_noise: bool) -> None:
    report = sides[0].recorder.report
    plan = Plan(cells=options.cells, settings=report.settings, profile=options.profile)
    before = take_snapshot(sample_s=options.watch_s)
    if show_noise:
        print_conditions(before, report.machine, options.threads, console)
    with (
        noting_conditions([side.recorder for side in sides], before) as note_conditions,
        Progress(console, report.settings, sides, options.cells) as progress,
    ):
        watch = watch_of(options.threads, options.patience_s)
        Supervisor(plan, sides, progress, watch, note_conditions).measure()


def _finished(side: Side, subject: Subject, folder: Path, console: Console) -> Report:
    parity = subject.judge(side, folder, console.print) if subject.judged else Parity()
    return side.recorder.finish(parity, subject.time_to_target(side.recorder))


def _refuse_existing(asked: Sequence[tuple[Options, Environment]]) -> None:
    for options, _ in asked:
        if options.existing == "refuse" and (options.output / REPORT_NAME).exists():
            raise BenchError(
                f"{options.output} already holds a report; choose another --output, --resume or --overwrite"
            )
