"""What can distort a measurement: told before it starts, and noted in the report from then until it ends."""

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
from bench.system.snapshot import Snapshot, take_snapshot

APART_WORDS = "data of another core took"


def tell_conditions(before: Snapshot, machine: Machine, threads: int, console: Console) -> None:
    """Says what could distort a measurement that is about to start, as `bench doctor` does.

    Args:
        before: taken with a sample of what others use.
        machine: that it will run on.
        threads: that each worker is told to use.
        console: of stderr, since stdout may be a script's.
    """
    # Where FORCE_COLOR is set, Rich calls a pipe a terminal too, and would cut a line for a script in pieces.
    whole = not console.file.isatty()
    for warning in conditions_between(before, None, machine, threads).warnings:
        console.print(f"Noise: {warning}", soft_wrap=whole)


@contextlib.contextmanager
def noting_conditions(recorders: Sequence[Recorder], before: Snapshot) -> Iterator[Callable[[], None]]:
    """Notes in reports what could distort what is measured meanwhile, however that ends.

    What is known beforehand is in them before anything is measured, so that a kill, which nobody can catch, loses only
    what came after the last look.

    Args:
        recorders: of one report, or of several that are measured as one; they hold no running worker yet.
        before: taken with a sample of what others use.

    Yields:
        What looks again and notes it; to be called while no worker lives, as the processor time of one is known only
        when it has ended, and would pass for that of others.

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
    """Returns conditions that also tell whether cores lost their common cache while `runs` were timed.

    What they told of that before, of a part of these runs, is replaced.
    """
    others = [warning for warning in conditions.warnings if not warning.startswith(APART_WORDS)]
    ratios = sorted(ratio for ratio in ratios_of(runs) if ratio is not None)
    limit = limit_of(ratios)
    apart = sum(ratio > limit for ratio in ratios)
    if not apart:
        return replace(conditions, warnings=others)
    told = (
        f"{APART_WORDS} {ratios[0]:.1f} to {ratios[-1]:.1f} times as long to read as a core's own: in {apart} of "
        f"{len(ratios)} rounds the cores had lost their common cache (docs/machine-state.md)"
    )
    return replace(conditions, warnings=[*others, told])
