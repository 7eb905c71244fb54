"""`python -m bench validate`: measure trials with a known answer on this machine and see what is said of them."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec
from rich.console import Console

from bench.drift import Drift, Trial, chain_of, estimated
from bench.environment import usable_cores, worker_environment
from bench.errors import BenchError
from bench.machine import describe_machine
from bench.machine_state import StateWatch, watch_of
from bench.options import WORKER_COMMAND
from bench.protocol import Command, Failed, Job, MeasureRound, Reply, Rounded, Stop, Unavailable, WarmUp
from bench.record import Record
from bench.recorder import now
from bench.report import Machine, Software
from bench.report_file import make_folder_of, write_json
from bench.software import describe_software
from bench.validation import Outcome, Simulated, judge, judge_pooled, simulate_coverage
from bench.worker_process import WorkerLostError, WorkerProcess
from movierank.datasets import load_dataset
from movierank.splits import default_split

SLOWDOWNS = (0.0, 0.05, 0.10)
SIDES_TOGETHER = 5  # workers that wait use no processor time, but each takes memory
SIMULATED = [(n, *scatter) for n in (3, 5, 10) for scatter in ((0.03, 0.02), (0.10, 0.10))]


Rounds = dict[float, list[float]]  # step times in ms of a process by slowdown
Pair = tuple[Sequence[Rounds], Sequence[Rounds]]


@dataclass(frozen=True)
class Options:
    """What to validate with.

    Attributes:
        backend: whose step is timed, on the CPU.
        output: JSON file of the result.
        comparisons: trials for each true difference.
        processes: fresh processes for either side of a trial.
        rounds: of a process, for each true difference.
        together: whether sides are measured side by side, as by `bench versus`, and not one after the other.
        round_s: shortest wall time of a round, in seconds.
        patience_s: as in `bench.options.Options`, for each side.
        dataset: as for `movierank.datasets.load_dataset`; prepared before.
        threads: of a worker.
        seed: of the order of rounds.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
    """

    backend: str
    output: Path
    comparisons: int = 40
    processes: int = 5
    rounds: int = 5
    together: bool = False
    round_s: float = 0.4
    patience_s: float = 120.0
    dataset: str = "100k"
    threads: int = field(default_factory=usable_cores)
    seed: int = 0
    timeout_s: float = 120.0
    worker_command: Sequence[str] = WORKER_COMMAND

    def __post_init__(self) -> None:
        """Refuses numbers that mean nothing.

        Raises:
            BenchError: naming the option.
        """
        for name, least in (("comparisons", 1), ("processes", 2), ("rounds", 1)):
            if getattr(self, name) < least:
                raise BenchError(f"--{name} must be at least {least}; received {getattr(self, name)}")


class Validation(Record, frozen=True, kw_only=True):
    """The result, as stored.

    Attributes:
        created: start, ISO 8601 in UTC.
        machine: where.
        software: with what.
        backend: whose step was timed.
        processes: fresh processes on either side of a trial.
        rounds: of a process, for each true difference.
        outcomes: what was said, one a true difference.
        pooled: what would have been said with more processes on either side, from the same samples.
        simulated: coverage on simulated cells.
        trials: raw samples.
        drift: what sides scatter beyond their own processes; None where there are too few of them.
    """

    created: str
    machine: Machine
    software: Software
    backend: str
    processes: int
    rounds: int
    outcomes: list[Outcome]
    pooled: list[Outcome]
    simulated: list[Simulated]
    trials: list[Trial]
    drift: Drift | None = None


def judge_anew(file: Path) -> Validation:
    """Returns a stored result with what is said of its trials today; nothing is measured.

    Raises:
        BenchError: the file cannot be read.
    """
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=Validation)
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror or error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise BenchError(f"{file} is not a result of `bench validate`: {error}") from error
    return _judged(stored)


def validate(options: Options, console: Console) -> Validation:
    """Measures all trials, saving after each, and returns what was said of them.

    Sides are measured one after the other, as a user measures before and after a change, or together. Each process
    takes rounds of every slowdown in random order, so that a side and the one before it make a trial of each true
    difference. A side is the newer one of a trial and the older one of the next: both have fresh processes, and a
    side costs once.

    Raises:
        BenchError: a worker cannot be started or is lost, or the output cannot be written.
        KeyboardInterrupt: passed on; the trials so far are saved.
    """
    order = random.Random(options.seed)
    dataset = load_dataset(options.dataset, progress=lambda line: console.print(line, highlight=False, markup=False))
    make_folder_of(options.output)
    result = Validation(
        created=now(),
        machine=describe_machine(),
        software=describe_software(worker_environment(options.backend, "cpu", options.threads)),
        backend=options.backend,
        processes=options.processes,
        rounds=options.rounds,
        outcomes=[],
        pooled=[],
        simulated=[simulate_coverage(n, options.rounds, *scatter) for n, *scatter in SIMULATED],
        trials=[],
    )
    sides = _together if options.together else _apart
    for base, new in sides(options, dataset.sha256, order, console):
        older = [rounds[0.0] for rounds in base]
        trials = [
            Trial(slowdown=s, base=older, new=[rounds[s] for rounds in new], together=options.together)
            for s in SLOWDOWNS
        ]
        result = _judged(msgspec.structs.replace(result, trials=[*result.trials, *trials]))
        write_json(result, options.output)
    return result


def _apart(options: Options, sha256: str, order: random.Random, console: Console) -> Iterator[Pair]:
    """Gives pairs of neighbours in a chain of sides that are measured one after the other."""
    before: list[Rounds] = []
    watch = watch_of(options.threads, options.patience_s)
    for side in range(options.comparisons + 1):
        console.print(f"side {side + 1} of {options.comparisons + 1}", highlight=False)
        watch.refill(options.patience_s)
        after = [rounds for _ in range(options.processes) for rounds in _measure(options, sha256, order, watch, 1)]
        if before:
            yield before, after
        before = after


def _together(options: Options, sha256: str, order: random.Random, console: Console) -> Iterator[Pair]:
    """Gives pairs of neighbours among sides whose processes of equal place run side by side, as in `bench versus`."""
    watch = watch_of(options.threads, options.patience_s)
    for done in range(0, options.comparisons, SIDES_TOGETHER - 1):
        count = min(SIDES_TOGETHER, options.comparisons - done + 1)
        console.print(f"comparisons {done + 1} to {done + count - 1} of {options.comparisons}", highlight=False)
        watch.refill(options.patience_s)
        generations = [_measure(options, sha256, order, watch, count) for _ in range(options.processes)]
        yield from pairwise(zip(*generations, strict=True))


def _judged(result: Validation) -> Validation:
    return msgspec.structs.replace(
        result,
        outcomes=judge(result.trials),
        pooled=judge_pooled(result.trials),
        drift=estimated(chain_of(result.trials)),
    )


def _measure(options: Options, sha256: str, order: random.Random, watch: StateWatch, count: int) -> list[Rounds]:
    """Returns the step times of fresh processes side by side, by slowdown, the rounds of all in random order."""
    wanted = [(place, slowdown) for place in range(count) for slowdown in SLOWDOWNS for _ in range(options.rounds)]
    order.shuffle(wanted)
    measured: list[Rounds] = [{slowdown: [] for slowdown in SLOWDOWNS} for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder, contextlib.ExitStack() as alive:
        environment = worker_environment(options.backend, "cpu", options.threads)
        workers: dict[int, WorkerProcess] = {}
        for place in order.sample(range(count), count):
            worker = WorkerProcess(options.worker_command, environment, Path(folder) / f"worker-{place}.log")
            alive.callback(worker.kill)
            workers[place] = worker
            _ask(worker, _job(options, sha256, folder), options.timeout_s)
            _ask(worker, WarmUp(), options.timeout_s)
        for place, slowdown in wanted:
            measured[place][slowdown].append(_round(workers[place], slowdown, watch, options.timeout_s))
        for worker in workers.values():
            _ask(worker, Stop(), options.timeout_s)
    return measured


def _round(worker: WorkerProcess, slowdown: float, watch: StateWatch, timeout_s: float) -> float:
    """Returns the step time of a round in the machine's usual state, as `run` would time it, in ms."""
    while True:
        watch.before_round()
        started = time.monotonic()
        reply = _ask(worker, MeasureRound(slowdown=slowdown), timeout_s)
        if not isinstance(reply, Rounded):
            raise BenchError(f"a worker answered {type(reply).__name__} to a round")
        if not watch.is_apart(watch.after_round()) or watch.patience_s <= 0:
            return reply.step_time_ms
        watch.spend(time.monotonic() - started)


def _ask(worker: WorkerProcess, command: Command, timeout_s: float) -> Reply:
    try:
        reply = worker.ask(command, timeout_s)
    except WorkerLostError as error:
        raise BenchError(f"a worker was lost while validating: {error.error}") from error
    match reply:
        case Unavailable():
            raise BenchError(reply.reason)
        case Failed():
            raise BenchError(f"a worker failed while validating: {reply.error}")
        case _:
            return reply


def _job(options: Options, sha256: str, folder: str) -> Job:
    return Job(
        backend=options.backend,
        device="cpu",
        loop="fit",
        process=0,
        seed=0,
        threads=options.threads,
        dataset=options.dataset,
        data_source="auto",
        data_path=None,
        sha256=sha256,
        split=default_split(options.dataset),
        batch_size=1000,
        epochs=1,
        embedding_dimension=32,
        learning_rate=0.1,
        init="shared",
        round_s=options.round_s,
        predictions=f"{folder}/unused.npz",
        stored_predictions=0,
    )
