"""Print what can distort a measurement before it starts, and note it in the report until it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace
from rich.console import Console

from bench.measure.recorder import Recorder
from bench.report.rounds import ratios_of
from bench.schema.cell import Cell
from bench.schema.machine import Conditions, Machine
from bench.schema.run import Run
from bench.statistics.calm import limit_of
from bench.system.conditions import conditions_between, joined
from bench.system.noise import Noise
from bench.system.snapshot import Snapshot, take_snapshot


def print_conditions(before: Snapshot, machine: Machine, threads: int, console: Console) -> None:
    """Print what could distort a measurement that is about to start, as `bench doctor` does.

    Args:
        before: snapshot with a sample of other processes' CPU use.
        machine: machine of the measurement.
        threads: number of threads of each worker.
        console: console of stderr, since stdout may be a script's.
    """
    # Where FORCE_COLOR is set, Rich calls a pipe a terminal too, and would cut a line for a script in pieces.
    whole = not console.file.isatty()
    for warning in conditions_between(before, None, machine, threads).warnings:
        console.print(f"Noise: {warning}", soft_wrap=whole)


@contextlib.contextmanager
def noting_conditions(recorders: Sequence[Recorder], before: Snapshot) -> Iterator[Callable[[], None]]:
    """Note in reports what could distort the measurement made meanwhile, however that ends.

    What is known beforehand is noted before anything is measured, so that a kill, which nobody can catch, loses only
    what came after the last look.

    Args:
        recorders: recorders of one report, or of several that are measured as one; they hold no running worker yet.
        before: snapshot with a sample of other processes' CPU use.

    Yields:
        A function that looks again and notes it. Call it while no worker lives: a worker's processor time is known
        only when it has ended, and would pass for that of others.

    Raises:
        BenchError: a report cannot be written.
    """
    timed = [_timed(recorder) for recorder in recorders]
    # A part that was cut off before a round was timed has distorted nothing.
    earlier = [recorder.report.conditions if there else None for recorder, there in zip(recorders, timed, strict=True)]

    def note(after: Snapshot, *, ended: bool = False) -> None:
        for recorder, known, there in zip(recorders, earlier, timed, strict=True):
            if ended and known is not None and _timed(recorder) == there:
                recorder.note(known)  # nor has a resumed run that timed nothing
            else:
                report = recorder.report
                found = conditions_between(before, after, report.machine, report.settings.threads)
                recorder.note(with_state(joined(known, found), recorder.runs))

    note(before)
    try:
        yield lambda: note(take_snapshot())
    finally:
        note(take_snapshot(), ended=True)


def _timed(recorder: Recorder) -> set[tuple[Cell, int, tuple[float, ...]]]:
    return {(run.cell, run.process, tuple(run.step_time_ms)) for run in recorder.runs if run.step_time_ms}


def with_state(conditions: Conditions, runs: Sequence[Run]) -> Conditions:
    """Return conditions that also say whether cores lost their common cache while `runs` were timed.

    A warning of that kind on a part of these runs is replaced.
    """
    warnings = [warning for warning in conditions.warnings if not Noise.CORES_APART.is_kind_of(warning)]
    ratios = sorted(ratio for ratio in ratios_of(runs) if ratio is not None)
    limit = limit_of(ratios)
    if apart := sum(ratio > limit for ratio in ratios):
        warnings.append(Noise.CORES_APART(least=ratios[0], most=ratios[-1], apart=apart, rounds=len(ratios)))
    return replace(conditions, warnings=warnings)
