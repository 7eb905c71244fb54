"""What the harness itself costs; a benchmark to read, not a test: it exits with 0 whatever it finds.

1. Step time, one fresh process a cell, in which blocks of three calls alternate in random order: the harness
   (`bench.worker.timed_fit.timed_fit`), and bare calls of FEW and of MANY epochs, on NumPy arrays with the same model.
   What it *adds* is a whole call of the harness over a bare one of as many epochs. Target: below 1 %.
   The *clock* is the code that it adds, run by itself on an idle device, over a bare call: without the noise of both.
   What it *reports* is its step time over the slope between the two bare calls, which keeps what one call costs
   besides its steps out of it, as the harness keeps it out; a slope is a difference, so this scatters more.
2. Set-up of one call: what the slope leaves over, and what the harness reports as `fit_setup_ms`.
3. Opening the prepared MovieLens 100K with the tutorial's split, first and later calls of fresh processes.
   Target: below 50 ms.
4. Start of `python -m bench --help` and `python -m bench compare`. Target: below 0.5 s.
5. Processor time that the supervisor's process takes while it waits for the end of a worker's round. Target: none.

    python -m bench.studies.overhead [--backends jax,torch] [--loops fit,fused] [--blocks 60] [--report results/NAME]
        [--output FILE]
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.schema.cell import Cell
from bench.schema.messages import MeasureRound, Rounded
from bench.studies.overhead_records import Measured, StepTimes, by_cell, in_percent, stored
from bench.studies.validate.options import Options
from bench.studies.validate.sides import warm_worker
from bench.system.child import hide
from bench.system.environment import hidden_modules, usable_cores, worker_environment
from bench.system.files import add_line
from bench.system.machine import describe_machine
from bench.system.software import git_state
from bench.system.watch import watch_of
from bench.text.console import LastingConsole
from bench.text.table import FittingTable
from movierank.backends import BACKENDS
from movierank.data.datasets import load_dataset

FEW, MANY = 1, 6  # epochs of the two bare calls
WARM_UP_BLOCKS = 5
WAITED_ROUNDS = 20
PATIENCE_S = 120.0  # with the state of the machine, a backend (`bench.system.watch`)
THIS_PROGRAM = (sys.executable, "-m", "bench.studies.overhead")


class Opened(msgspec.Struct, frozen=True):
    """Wall times in ms of opening the prepared data in one process."""

    first_ms: float
    later_ms: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the result, and return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backends", default=",".join(BACKENDS), help="(default: %(default)s)")
    parser.add_argument("--loops", default="fit", help="such as fit,fused (default: %(default)s)")
    parser.add_argument("--blocks", type=int, default=30, help="blocks of three calls a cell (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=10, help="process starts a command (default: %(default)s)")
    parser.add_argument("--report", type=Path, default=Path("results/local/bench"), help="to `compare` with itself")
    parser.add_argument("--output", type=Path, help="to keep the step times in, after those that it holds")
    parser.add_argument("--worker", choices=(*BACKENDS, "data"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        of_worker = (
            _open_data()
            if arguments.worker == "data"
            else _step_times(arguments.worker, arguments.loops, arguments.blocks)
        )
        sys.stdout.buffer.write(msgspec.json.encode(of_worker))
        return 0

    console = LastingConsole()
    try:
        cells = parse_cells(arguments.backends, "cpu", arguments.loops)
        measured = [] if arguments.output is None else stored(arguments.output)
        for cell in cells:
            if (times := _in_process(cell, arguments.blocks)) is not None:
                measured.append(_kept(cell, times, arguments.output))
    except BenchError as error:
        parser.error(str(error))
    console.print(_step_table(by_cell(measured)))
    console.print(_start_table(arguments.starts, arguments.report))
    shares = _waiting_percent(cells[0].backend)
    console.print(
        f"While a worker's round runs, the supervisor takes {median(shares):.2f} % of a core (median of {len(shares)} "
        f"rounds; at most {max(shares):.2f} %)",
    )
    return 0


def _in_process(cell: Cell, blocks: int) -> StepTimes | None:
    """Return the measured cell; None where its process failed, which has then printed the reason on stderr."""
    print(f"{cell}: {blocks} blocks", file=sys.stderr)
    worker = subprocess.run(
        [*THIS_PROGRAM, f"--worker={cell.backend}", f"--loops={cell.loop}", f"--blocks={blocks}"],
        env=worker_environment(cell.backend, "cpu", usable_cores()),
        stdout=subprocess.PIPE,
        check=False,
    )
    return msgspec.json.decode(worker.stdout, type=StepTimes) if worker.returncode == 0 else None


def _kept(cell: Cell, times: StepTimes, file: Path | None) -> Measured:
    commit, _ = git_state(Path(__file__))
    measured = Measured(cell=str(cell), times=times, git_commit=commit, cpu_model=describe_machine().cpu_model)
    if file is not None:
        add_line(measured, file)
    return measured


def _step_times(backend: str, loop: str, blocks: int) -> StepTimes:
    hide(hidden_modules(backend))

    from bench.worker.frameworks import adapter_for
    from bench.worker.timed_fit import EpochClock, timed_fit
    from movierank import training
    from movierank.data.splits import split_ratings
    from movierank.model import RankingModel
    from movierank.weights import initial_weights

    adapter = adapter_for(backend)
    adapter.configure("cpu", usable_cores())
    dataset = load_dataset("100k")
    train = split_ratings(dataset, "tutorial").train
    size, steps = training.BATCH_SIZE, len(train) // training.BATCH_SIZE
    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1)
    model.load_initial_weights(initial_weights(dataset.num_users, dataset.num_movies))
    training.compile_model(model)
    measured = StepTimes(*([] for _ in StepTimes.__struct_fields__))
    call_ms: dict[str, float] = {}

    def bare(epochs: int) -> None:
        if loop == "fit":
            model.fit(train.features, train.label, batch_size=size, epochs=epochs, shuffle=False, verbose=0)
        else:
            training.train(model, train.features, train.label, batch_size=size, epochs=epochs, loop=loop)
        adapter.synchronise()

    def harness() -> None:
        timed = timed_fit(model, train, batch_size=size, epochs=MANY, synchronise=adapter.synchronise, loop=loop)
        call_ms["reported"], call_ms["setup"] = 1e3 * timed.epochs_s, 1e3 * timed.setup_s

    def clock_ms() -> float:
        started = time.perf_counter()
        clock = EpochClock(1, adapter.synchronise)
        clock.on_epoch_begin(0)
        clock.on_epoch_end(0)
        return 1e3 * (time.perf_counter() - started)

    calls: dict[str, Callable[[], None]] = {"harness": harness, "few": lambda: bare(FEW), "many": lambda: bare(MANY)}
    order, names = random.Random(0), list(calls)
    watch = watch_of(usable_cores(), PATIENCE_S)
    while len(measured.bare_ms) < WARM_UP_BLOCKS + blocks:
        order.shuffle(names)
        watch.before_round()
        block = time.perf_counter()
        for name in names:
            started = time.perf_counter()
            calls[name]()
            call_ms[name] = 1e3 * (time.perf_counter() - started)
        if watch.is_apart(watch.after_round()) and watch.patience_s > 0:
            watch.spend(time.perf_counter() - block)
            continue
        slope = (call_ms["many"] - call_ms["few"]) / ((MANY - FEW) * steps)
        measured.harness_call_ms.append(call_ms["harness"] / (MANY * steps))
        measured.bare_call_ms.append(call_ms["many"] / (MANY * steps))
        measured.harness_ms.append(call_ms["reported"] / (MANY * steps))
        measured.bare_ms.append(slope)
        measured.harness_setup_ms.append(call_ms["setup"])
        measured.bare_setup_ms.append(call_ms["few"] - slope * FEW * steps)
        measured.clock_ms.append(clock_ms() / (MANY * steps))
    return StepTimes(*(getattr(measured, name)[WARM_UP_BLOCKS:] for name in StepTimes.__struct_fields__))


def _open_data() -> Opened:
    from movierank.data.splits import split_ratings

    def once() -> float:
        started = time.perf_counter()
        split_ratings(load_dataset("100k"), "tutorial")
        return 1e3 * (time.perf_counter() - started)

    return Opened(once(), [once() for _ in range(10)])


def _step_table(measured: dict[str, StepTimes]) -> FittingTable:
    table = FittingTable(title="Step time: the harness against bare calls")
    for column in ("Cell", "Bare, ms", "Adds", "Clock", "Reports", "Set-up bare, ms", "Harness, ms"):
        table.add_column(column, justify="left" if column == "Cell" else "right")
    for cell, times in measured.items():
        table.add_row(
            cell,
            f"{median(times.bare_call_ms):.4f}",
            in_percent(times.adds),
            "–" if times.clock_share is None else f"{times.clock_share:.3%}",
            in_percent(times.reports),
            f"{median(times.bare_setup_ms):.1f}",
            f"{median(times.harness_setup_ms):.1f}",
        )
    table.caption = (
        "times are medians over blocks; shares are geometric means of the blocks' ratios, with 95 % intervals"
    )
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


def _waiting_percent(backend: str) -> list[float]:
    """Return the share of a core that this process took during each of some rounds of a worker, in percent."""
    shares = []
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder:
        options = Options(backend=backend, output=Path(folder) / "unused")
        with warm_worker(options, load_dataset(options.dataset).sha256, folder) as (worker, _):
            for _ in range(WAITED_ROUNDS):
                started, used = time.perf_counter(), time.process_time()
                worker.ask(MeasureRound(), Rounded)
                shares.append(100 * (time.process_time() - used) / (time.perf_counter() - started))
    return shares


def _start_s(options: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *options], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
