"""`python -m bench run`: its options, and what it prints."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.matrix import parse_cells
from bench.outcome import RUNS_FAILED, exit_code
from bench.precision import FULL, PRECISIONS
from bench.quantities import PrecisionAction, parse_duration
from movierank.backends import BACKENDS

if TYPE_CHECKING:
    from bench.options import Options

QUICK: dict[str, Any] = {"processes": 2, "seeds": 2, "rounds": 4, "round_s": 0.2}
HOW_TO_MEASURE = (
    "processes",
    "seeds",
    "rounds",
    "round_s",
    "precision",
    "budget_s",
    "threads",
    "order_seed",
    "timeout_s",
    "parity",
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
    run = commands.add_parser(
        "run",
        help="measure and write a report",
        description="Measures each backend on each device in several worker processes and writes a report.",
    )
    add_options(run)
    run.set_defaults(command=_run)


def add_options(run: argparse.ArgumentParser) -> None:
    """Adds what to measure, how, and where to write it."""
    from movierank.cli import add_data_options

    run.set_defaults(arithmetic=None)
    what = run.add_argument_group("what to compare")
    what.add_argument("--backends", default=",".join(BACKENDS), metavar="LIST", help="(default: %(default)s)")
    what.add_argument("--devices", default="cpu", metavar="LIST", help="cpu, gpu or gpu:N (default: %(default)s)")
    what.add_argument("--loops", default="fit", metavar="LIST", help="how training is driven (default: %(default)s)")
    add_data_options(run)
    workload = run.add_argument_group("workload")
    workload.add_argument("--split", help="tutorial, or FRACTION:SEED such as 0.8:42 (default: by dataset)")
    workload.add_argument("--batch-size", type=int, default=1000, metavar="N", help="(default: %(default)s)")
    workload.add_argument("--epochs", type=int, default=5, metavar="N", help="(default: %(default)s)")
    workload.add_argument("--embedding-dimension", type=int, default=32, metavar="N", help="(default: %(default)s)")
    workload.add_argument("--learning-rate", type=float, default=0.1, metavar="X", help="(default: %(default)s)")
    workload.add_argument(
        "--init",
        choices=("shared", "backend"),
        default="shared",
        help="initial weights: the same for every backend, or each one's own (default: %(default)s)",
    )
    workload.add_argument(
        "--target-rmse",
        type=float,
        default=0.26,
        metavar="X",
        help="tell the training time until the test RMSE is this low (default: %(default)s)",
    )
    how = run.add_argument_group("how to measure")
    how.add_argument("--processes", type=int, metavar="N", help="per cell, at least --seeds (default: 5; quick: 2)")
    how.add_argument("--seeds", type=int, metavar="N", help="seeds of the initial weights (default: 3; quick: 2)")
    how.add_argument("--rounds", type=int, metavar="N", help="timed rounds per process (default: 5; quick: 4)")
    how.add_argument(
        "--round-seconds", type=float, dest="round_s", metavar="S", help="of a round (default: 0.4; quick: 0.2)"
    )
    how.add_argument(
        "--precision",
        action=PrecisionAction,
        metavar="2%|LIST",
        help="2%%: start processes until every interval is this narrow either way (with --budget 5m if none is "
        f"given); a list of {', '.join(PRECISIONS)}: arithmetic to compare, each a cell of its own (default: {FULL}). "
        "May be given twice, once for each",
    )
    how.add_argument(
        "--budget",
        type=parse_duration,
        dest="budget_s",
        metavar="5m",
        help="after the first five, start processes as long as this allows (parity not counted)",
    )
    how.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a first look")
    how.add_argument("--threads", type=int, metavar="N", help="CPU threads of a worker (default: all usable cores)")
    how.add_argument("--order-seed", type=int, metavar="N", help="of the rounds' order (default: 0)")
    how.add_argument("--timeout", type=float, dest="timeout_s", metavar="SECONDS", help="for one answer (default: 600)")
    how.add_argument("--parity", action=argparse.BooleanOptionalAction, help="judge parity (default: on small data)")
    out = run.add_argument_group("output")
    out.add_argument("--output", type=Path, metavar="DIR", help="(default: results/local/TIME)")
    existing = out.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on with the report in --output")
    existing.add_argument("--overwrite", action="store_true", help="replace the report in --output")


def options_of(arguments: argparse.Namespace) -> Options:
    """Returns what the arguments that `add_options` defines ask for.

    Raises:
        BenchError: a number or a name means nothing.
    """
    from bench.options import Options

    output = arguments.output or Path("results/local") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    given = {name: value for name in HOW_TO_MEASURE if (value := getattr(arguments, name)) is not None}
    return Options(
        cells=parse_cells(arguments.backends, arguments.devices, arguments.loops, arguments.arithmetic or FULL),
        output=output,
        dataset=arguments.dataset,
        data_source=arguments.data_source,
        data_path=arguments.data_path,
        split=arguments.split,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        embedding_dimension=arguments.embedding_dimension,
        learning_rate=arguments.learning_rate,
        init=arguments.init,
        target_rmse=arguments.target_rmse,
        existing="resume" if arguments.resume else "overwrite" if arguments.overwrite else "refuse",
        **{**(QUICK if arguments.quick else {}), **given},
    )


def _run(arguments: argparse.Namespace) -> int:
    from bench.measure import measure
    from bench.progress import LastingConsole
    from bench.table import print_report

    options = options_of(arguments)
    output = options.output
    try:
        report = measure(options, LastingConsole(stderr=True))
    except KeyboardInterrupt:
        kept = (
            f"; what was measured is in {output}, --resume goes on with it" if (output / "report.json").exists() else ""
        )
        print(f"bench: interrupted{kept}", file=sys.stderr)
        return RUNS_FAILED
    write_page_beside(output)
    print_report(report, output, LastingConsole())
    return exit_code(report)


def write_page_beside(output: Path) -> None:
    """Writes `report.html` into the report's directory where Matplotlib is there to draw it.

    In a process of its own: Matplotlib would double the supervisor's memory. A page that cannot be written
    takes nothing from the report, so its error is only shown.
    """
    if importlib.util.find_spec("matplotlib") is not None:
        from bench.report_file import PAGE_NAME

        command = [sys.executable, "-m", "bench", "page", str(output), "-o", str(output / PAGE_NAME)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
