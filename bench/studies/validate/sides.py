"""Measure sides of fresh processes whose true difference is known, in pairs of neighbours.

Each process takes rounds of every slowdown in random order, so that a side and the one before it make a trial of each
true difference. A side is the newer one of a trial and the older one of the next: both have fresh processes, and a
side costs once. Sides are measured one after the other, as a user measures before and after a change, or together.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from bench.comparison.drift import Trial
from bench.errors import BenchError
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.schema.messages import Job, MeasureRound, Ready, Rounded, Steady, Stop, Stopped, WarmUp
from bench.studies.validate.options import Options
from bench.system.environment import worker_environment
from bench.system.watch import StateWatch, watch_of
from movierank.data.splits import default_split

SLOWDOWNS = (0.0, 0.05, 0.10)
SIDES_TOGETHER = 5  # workers that wait use no processor time, but each takes memory

Rounds = dict[float, list[float]]  # step times in ms of a process by slowdown


@dataclass(frozen=True)
class Pair:
    """Two sides.

    Attributes:
        base: the processes of the one measured as the older one.
        new: of the newer one.
        stretch: as in `bench.comparison.drift.Trial`, from 0.
    """

    base: Sequence[Rounds]
    new: Sequence[Rounds]
    stretch: int


def measured_trials(options: Options, sha256: str, done: Sequence[Trial], console: Console) -> Iterator[list[Trial]]:
    """Measure the trials that `done` lacks; yield those of each comparison, one for each slowdown.

    Raises:
        BenchError: a worker cannot be started or is lost.
    """
    compared = comparisons_of(done)
    stretch = 1 + max((trial.stretch for trial in done), default=-1)
    order = random.Random(options.seed + compared)
    measure = _together if options.together else _apart
    for pair in measure(options, sha256, order, options.comparisons - compared, console):
        older = [rounds[0.0] for rounds in pair.base]
        yield [
            Trial(
                slowdown=slowdown,
                base=older,
                new=[rounds[slowdown] for rounds in pair.new],
                together=options.together,
                stretch=stretch + pair.stretch,
            )
            for slowdown in SLOWDOWNS
        ]


def comparisons_of(trials: Sequence[Trial]) -> int:
    """Return the number of comparisons: each has one trial without a slowdown."""
    return sum(trial.slowdown == 0 for trial in trials)


def _apart(options: Options, sha256: str, order: random.Random, missing: int, console: Console) -> Iterator[Pair]:
    """Yield pairs of neighbours in a chain of sides that are measured one after the other."""
    if missing <= 0:
        return
    before: list[Rounds] = []
    watch = watch_of(options.threads, options.patience_s)
    for side in range(missing + 1):
        console.print(f"side {side + 1} of {missing + 1}")
        watch.refill(options.patience_s)
        after = [rounds for _ in range(options.processes) for rounds in _measure(options, sha256, order, watch, 1)]
        if before:
            yield Pair(before, after, 0)
        before = after


def _together(options: Options, sha256: str, order: random.Random, missing: int, console: Console) -> Iterator[Pair]:
    """Yield pairs of neighbours among sides whose processes of equal place run side by side, as in `bench versus`."""
    watch = watch_of(options.threads, options.patience_s)
    for stretch, done in enumerate(range(0, missing, SIDES_TOGETHER - 1)):
        count = min(SIDES_TOGETHER, missing - done + 1)
        console.print(f"comparisons {done + 1} to {done + count - 1} of {missing}")
        watch.refill(options.patience_s)
        generations = [_measure(options, sha256, order, watch, count) for _ in range(options.processes)]
        yield from (Pair(base, new, stretch) for base, new in pairwise(zip(*generations, strict=True)))


def _measure(options: Options, sha256: str, order: random.Random, watch: StateWatch, count: int) -> list[Rounds]:
    """Return the step times of fresh processes side by side, by slowdown, the rounds of all in random order."""
    wanted = [(place, slowdown) for place in range(count) for slowdown in SLOWDOWNS for _ in range(options.rounds)]
    order.shuffle(wanted)
    measured: list[Rounds] = [{slowdown: [] for slowdown in SLOWDOWNS} for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder, contextlib.ExitStack() as alive:
        workers = {
            place: alive.enter_context(warm_worker(options, sha256, folder, f"worker-{place}"))[0]
            for place in order.sample(range(count), count)
        }
        for place, slowdown in wanted:
            measured[place][slowdown].append(_round(workers[place], slowdown, watch))
        for worker in workers.values():
            worker.ask(Stop(), Stopped)
    return measured


@contextlib.contextmanager
def warm_worker(
    options: Options, sha256: str, folder: str, name: str = "worker"
) -> Iterator[tuple[WorkerProcess, Steady]]:
    """Yield a fresh worker that has warmed up, with its reply; end it afterwards.

    Args:
        options: whose step it takes, and in which program.
        sha256: checksum of the data.
        folder: for its files.
        name: of its log.

    Raises:
        BenchError: it cannot be started or is lost.
    """
    environment = worker_environment(options.backend, "cpu", options.threads)
    log = Path(folder) / f"{name}.log"
    try:
        with WorkerProcess(options.worker_command, environment, log, options.timeout_s) as worker:
            worker.ask(job_of(options, sha256, folder), Ready)
            yield worker, worker.ask(WarmUp(), Steady)
    except WorkerLostError as lost:
        if lost.status == "skipped":
            raise BenchError(lost.error) from lost
        how = "failed" if lost.status == "failed" else "was lost"
        raise BenchError(f"a worker {how} while validating: {lost.error}") from lost


def _round(worker: WorkerProcess, slowdown: float, watch: StateWatch) -> float:
    """Return the step time of a round in the machine's usual state, as `run` would time it, in ms."""
    while True:
        watch.before_round()
        started = time.monotonic()
        step_time_ms = worker.ask(MeasureRound(slowdown=slowdown), Rounded).step_time_ms
        if not watch.is_apart(watch.after_round()) or watch.patience_s <= 0:
            return step_time_ms
        watch.spend(time.monotonic() - started)


def job_of(options: Options, sha256: str, folder: str) -> Job:
    """Return the job of a worker that begins with rounds, of data with that checksum; it may write to `folder`."""
    return Job(
        backend=options.backend,
        device="cpu",
        seed=0,
        threads=options.threads,
        dataset=options.dataset,
        sha256=sha256,
        split=default_split(options.dataset),
        batch_size=1000,
        epochs=1,
        embedding_dimension=32,
        learning_rate=0.1,
        round_s=options.round_s,
        predictions=f"{folder}/unused.npz",
        stored_predictions=0,
    )
