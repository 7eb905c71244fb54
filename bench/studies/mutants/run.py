"""`python -m bench mutants`: plant faults in a backend's training and see whether parity finds them and no others."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress

from bench.errors import BenchError
from bench.measure.doctor import probe
from bench.measure.options import WORKER_COMMAND
from bench.studies.mutants.catalogue import BATCH_SIZE, FAULTS
from bench.studies.mutants.records import CleanTrainings, FaultResult, Mutants
from bench.studies.mutants.trainings import MutantTrainings
from bench.studies.mutants.workload import Workload
from bench.system.environment import usable_cores, worker_environment
from bench.system.files import make_folder_of, write_json
from bench.system.machine import describe_machine
from bench.system.software import describe_software, now
from movierank.data.datasets import load_dataset
from movierank.data.splits import default_split, split_ratings

BACKEND_SEEDS = 5
COPY_SEEDS = 10


@dataclass(frozen=True)
class Options:
    """What to plant and how much to train without a fault.

    Attributes:
        backend: that trains, on the CPU.
        output: JSON file of the result.
        faults: names in `bench.studies.mutants.catalogue`.
        clean: trainings of the float32 oracle without a fault, spread over ten seeds; with 0 the backend too trains
            without a fault only what the faults are compared with.
        seed: of the initial weights of trainings with a fault.
        dataset: as for `movierank.data.datasets.load_dataset`; prepared before.
        epochs: passes over the train part.
        learning_rate: Adagrad's.
        threads: of a worker.
        at_once: processes at the same time.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
    """

    backend: str
    output: Path
    faults: Sequence[str] = tuple(FAULTS)
    clean: int = 200
    seed: int = 0
    dataset: str = "100k"
    epochs: int = 5
    learning_rate: float = 0.1
    threads: int = field(default_factory=usable_cores)
    at_once: int = field(default_factory=lambda: min(4, usable_cores()))
    timeout_s: float = 300.0
    worker_command: Sequence[str] = WORKER_COMMAND

    def __post_init__(self) -> None:
        """Refuse what does not exist.

        Raises:
            BenchError: naming the option.
        """
        if unknown := [name for name in self.faults if name not in FAULTS]:
            raise BenchError(f"there is no fault {unknown[0]!r}; --faults takes some of: {', '.join(FAULTS)}")
        if self.clean < 0:
            raise BenchError(f"--clean must be at least 0; received {self.clean}")
        if self.seed < 0:
            raise BenchError(f"--seed must be at least 0; received {self.seed}")


def measure_mutants(options: Options, console: Console) -> Mutants:
    """Train with each fault and without any, and judge each training as a separate report.

    Every finished training is saved at once.

    Raises:
        BenchError: the backend is not to be had, a training without a fault broke off, or the result cannot be written.
        KeyboardInterrupt: passed on; what is finished is saved.
    """
    works, why = probe(options.backend, "cpu", options.worker_command)  # before the oracle trains for minutes
    if not works:
        raise BenchError(why)
    dataset = load_dataset(options.dataset, progress=console.print)
    split = split_ratings(dataset, default_split(dataset.name))
    make_folder_of(options.output)
    result = Mutants(
        created=now(),
        machine=describe_machine(),
        software=describe_software(worker_environment(options.backend, "cpu", options.threads)),
        backend=options.backend,
        dataset=dataset.name,
        sha256=dataset.sha256,
        split=split.name,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        faults=[],
        clean=[],
    )
    write_json(result, options.output)  # an older result must not pass for this one's
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder:
        workload = Workload(
            backend=options.backend,
            dataset=dataset,
            split=split,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            threads=options.threads,
            timeout_s=options.timeout_s,
            worker_command=options.worker_command,
            folder=Path(folder),
        )
        return _measure(options, MutantTrainings(workload, options.seed), result, console)


def _measure(options: Options, trainings: MutantTrainings, result: Mutants, console: Console) -> Mutants:
    copies = _shares(options.clean)
    sizes = {FAULTS[name].batch_size for name in options.faults} | {BATCH_SIZE}
    baselines = sorted((options.seed, size) for size in sizes)
    others = [(seed, BATCH_SIZE) for seed in range(BACKEND_SEEDS if options.clean else 0) if seed != options.seed]
    keys = list(dict.fromkeys([*baselines, *others, *((seed, BATCH_SIZE) for seed in copies)]))
    steps = len(keys) + len(baselines) + len(others) + len(options.faults) + len(copies)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        task = bar.add_task("references", total=steps)

        def each(futures: Sequence[Future[FaultResult] | Future[CleanTrainings] | Future[None]], doing: str) -> None:
            nonlocal result
            for future in as_completed(futures):
                result = _with(result, future.result())
                bar.update(task, advance=1, description=doing)
                write_json(result, options.output)

        try:
            each([pool.submit(trainings.add_reference, key) for key in keys], "references")
            each([pool.submit(trainings.clean, key) for key in baselines], "without a fault")
            each(
                [
                    *(pool.submit(trainings.with_fault, name) for name in options.faults),
                    *(pool.submit(trainings.clean, key) for key in others),
                    *(pool.submit(trainings.clean_copies, (seed, BATCH_SIZE), count) for seed, count in copies.items()),
                ],
                "faults",
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            trainings.stop()
            raise
    return result


def _shares(trainings: int) -> dict[int, int]:
    """Return how many trainings each seed gets."""
    return {
        seed: share
        for seed in range(COPY_SEEDS)
        if (share := trainings // COPY_SEEDS + (seed < trainings % COPY_SEEDS))
    }


def _with(result: Mutants, found: FaultResult | CleanTrainings | None) -> Mutants:
    """Return the result with one more training, in an order that does not depend on which was done first."""
    match found:
        case FaultResult():
            places = list(FAULTS)
            faults = sorted([*result.faults, found], key=lambda fault: places.index(fault.name))
            return msgspec.structs.replace(result, faults=faults)
        case CleanTrainings():
            clean = sorted(
                [*result.clean, found],
                key=lambda block: (block.trained_by != result.backend, block.seed, -block.batch_size),
            )
            return msgspec.structs.replace(result, clean=clean)
        case None:
            return result
