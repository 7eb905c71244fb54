"""What the harness itself costs; a benchmark to read, not a test: it exits with 0 whatever it finds.

1. Step time: `bench.fit_loop.timed_fit` against a bare `model.fit` on NumPy arrays with the same model in the
   same process, one fresh process a backend. Blocks of three calls alternate in random order: the harness,
   and bare calls of FEW and of MANY epochs. The bare step time is the slope between these two, so that what
   one call of `fit` costs besides its steps is kept out of it, as the harness keeps it out. Target: within 2 %.
2. Set-up of one `fit` call: what the slope leaves over, and what the harness reports as `fit_setup_ms`.
3. Opening the prepared MovieLens 100K with the tutorial's split, first and later calls of fresh processes.
   Target: below 50 ms.
4. Start of `python -m bench --help` and `python -m bench compare`. Target: below 0.5 s.

    python -m bench.overhead [--backends jax,torch] [--blocks 60] [--report results/NAME]
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console

from bench.environment import hidden_modules, usable_cores, worker_environment
from bench.errors import BenchError
from bench.fitting_table import FittingTable
from bench.hiding import hide
from bench.machine_state import watch_of
from bench.matrix import parse_cells
from bench.statistics import paired_ratio
from movierank.backends import BACKENDS

FEW, MANY = 1, 6  # epochs of the two bare calls
WARM_UP_BLOCKS = 5
PATIENCE_S = 120.0  # with the state of the machine, a backend (`bench.machine_state`)
THIS_PROGRAM = (sys.executable, "-m", "bench.overhead")


class StepTimes(msgspec.Struct, frozen=True):
    """One value a block.

    Attributes:
        harness_ms: step time as the harness reports it, in ms.
        bare_ms: step time of bare `fit`, in ms.
        harness_setup_ms: what the harness found one call of `fit` to cost besides its epochs, in ms.
        bare_setup_ms: what a bare call of `fit` costs besides its steps, in ms.
    """

    harness_ms: list[float]
    bare_ms: list[float]
    harness_setup_ms: list[float]
    bare_setup_ms: list[float]


class Opened(msgspec.Struct, frozen=True):
    """Wall times in ms of opening the prepared data in one process."""

    first_ms: float
    later_ms: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", default=",".join(BACKENDS), help="(default: %(default)s)")
    parser.add_argument("--blocks", type=int, default=30, help="blocks of three calls a backend (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=10, help="process starts a command (default: %(default)s)")
    parser.add_argument("--report", type=Path, default=Path("results/local/bench"), help="to `compare` with itself")
    parser.add_argument("--worker", choices=(*BACKENDS, "data"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        measured = _open_data() if arguments.worker == "data" else _step_times(arguments.worker, arguments.blocks)
        sys.stdout.buffer.write(msgspec.json.encode(measured))
        return 0

    console = Console()
    try:
        backends = [cell.backend for cell in parse_cells(arguments.backends, "cpu", "fit")]
    except BenchError as error:
        parser.error(str(error))
    measured_by = {backend: _in_process(backend, arguments.blocks) for backend in backends}
    console.print(_step_table({backend: times for backend, times in measured_by.items() if times is not None}))
    console.print(_start_table(arguments.starts, arguments.report))
    return 0


def _in_process(backend: str, blocks: int) -> StepTimes | None:
    """Returns None where the backend's process failed, which has then said why on stderr."""
    print(f"{backend}: {blocks} blocks", file=sys.stderr)
    worker = subprocess.run(
        [*THIS_PROGRAM, f"--worker={backend}", f"--blocks={blocks}"],
        env=worker_environment(backend, "cpu", usable_cores()),
        stdout=subprocess.PIPE,
        check=False,
    )
    return msgspec.json.decode(worker.stdout, type=StepTimes) if worker.returncode == 0 else None


def _step_times(backend: str, blocks: int) -> StepTimes:
    hide(hidden_modules(backend))

    from bench.fit_loop import timed_fit
    from bench.frameworks import adapter_for
    from movierank import training
    from movierank.datasets import load_dataset
    from movierank.model import RankingModel
    from movierank.splits import split_ratings
    from movierank.weights import initial_weights

    adapter = adapter_for(backend)
    adapter.configure("cpu", usable_cores())
    dataset = load_dataset("100k")
    train = split_ratings(dataset, "tutorial").train
    steps = len(train) // training.BATCH_SIZE
    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1)
    model.load_initial_weights(initial_weights(dataset.num_users, dataset.num_movies))
    training.compile_model(model)
    measured = StepTimes([], [], [], [])
    bare_ms: dict[int, float] = {}

    def bare(epochs: int) -> None:
        started = time.perf_counter()
        model.fit(train.features, train.label, batch_size=training.BATCH_SIZE, epochs=epochs, shuffle=False, verbose=0)
        adapter.synchronise()
        bare_ms[epochs] = 1e3 * (time.perf_counter() - started)

    def harness() -> None:
        timed = timed_fit(model, train, batch_size=training.BATCH_SIZE, epochs=MANY, synchronise=adapter.synchronise)
        measured.harness_ms.append(1e3 * timed.epochs_s / (MANY * steps))
        measured.harness_setup_ms.append(1e3 * timed.setup_s)

    calls: list[Callable[[], None]] = [harness, lambda: bare(FEW), lambda: bare(MANY)]
    order = random.Random(0)
    watch = watch_of(usable_cores(), PATIENCE_S)
    while len(measured.bare_ms) < WARM_UP_BLOCKS + blocks:
        order.shuffle(calls)
        watch.before_round()
        started = time.perf_counter()
        for call in calls:
            call()
        if watch.is_apart(watch.after_round()) and watch.patience_s > 0:
            watch.spend(time.perf_counter() - started)
            del measured.harness_ms[-1], measured.harness_setup_ms[-1]
            continue
        slope = (bare_ms[MANY] - bare_ms[FEW]) / ((MANY - FEW) * steps)
        measured.bare_ms.append(slope)
        measured.bare_setup_ms.append(bare_ms[FEW] - slope * FEW * steps)
    return StepTimes(*(getattr(measured, name)[WARM_UP_BLOCKS:] for name in StepTimes.__struct_fields__))


def _open_data() -> Opened:
    from movierank.datasets import load_dataset
    from movierank.splits import split_ratings

    def once() -> float:
        started = time.perf_counter()
        split_ratings(load_dataset("100k"), "tutorial")
        return 1e3 * (time.perf_counter() - started)

    return Opened(once(), [once() for _ in range(10)])


def _step_table(measured: dict[str, StepTimes]) -> FittingTable:
    table = FittingTable(title="Step time of fit: the harness against a bare model.fit")
    for column in ("Backend", "Bare, ms", "Harness, ms", "Ratio", "95 %", "Set-up bare, ms", "Harness, ms"):
        table.add_column(column, justify="left" if column == "Backend" else "right")
    for backend, times in measured.items():
        ratio = paired_ratio(times.harness_ms, times.bare_ms)
        table.add_row(
            backend,
            f"{median(times.bare_ms):.4f}",
            f"{median(times.harness_ms):.4f}",
            f"{ratio.value:.4f}",
            "" if ratio.ci95 is None else f"{ratio.ci95[0]:.4f} {ratio.ci95[1]:.4f}",
            f"{median(times.bare_setup_ms):.1f}",
            f"{median(times.harness_setup_ms):.1f}",
        )
    table.caption = "times are medians over blocks; the ratio is the geometric mean of the blocks' ratios"
    return table


def _start_table(starts: int, report: Path) -> FittingTable:
    table = FittingTable(title=f"Once per process, {starts} processes each")
    for column in ("What", "Median", "Longest"):
        table.add_column(column, justify="left" if column == "What" else "right")

    def add(what: str, values: Sequence[float], unit: str, digits: int) -> None:
        table.add_row(what, f"{median(values):.{digits}f} {unit}", f"{max(values):.{digits}f} {unit}")

    opened = [
        msgspec.json.decode(
            subprocess.run([*THIS_PROGRAM, "--worker=data"], stdout=subprocess.PIPE, check=True).stdout,
            type=Opened,
        )
        for _ in range(starts)
    ]
    add("open MovieLens 100K, first call", [each.first_ms for each in opened], "ms", 1)
    add("open MovieLens 100K, later calls", [value for each in opened for value in each.later_ms], "ms", 1)
    commands = {"bench --help": ["--help"]}
    if report.exists():
        commands["bench compare"] = ["compare", str(report), str(report)]
    else:
        table.caption = f"no report at {report} to compare; give one with --report"
    for what, options in commands.items():
        add(what, [_start_s(options) for _ in range(starts)], "s", 3)
    return table


def _start_s(options: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *options], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
