"""`python -m bench`: its options, and what each command calls.

What a command needs is imported when it runs, so that `--help` and `compare` start at once.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import compare_command, history_command, mutants_command, parity_command, sweep_command, validate_command
from bench.errors import BenchError
from bench.interrupts import interrupts_once
from bench.matrix import parse_cells
from bench.outcome import BAD_INPUT, FINE, RUNS_FAILED, exit_code
from bench.precision import FULL, PRECISIONS
from bench.quantities import PrecisionAction, parse_duration
from movierank.backends import BACKENDS
from movierank.errors import MovierankError
from movierank.short_parser import ShortParser

EXAMPLES = """examples:
  python -m bench run                                       all backends on the CPU, MovieLens 100K
  python -m bench run --quick --backends jax,torch          a first look, in a minute
  python -m bench run --devices cpu,gpu --output results/my-gpu
  python -m bench run --precision 2% --budget 10m           until the intervals are within 2 %
  python -m bench run --precision float32,mixed_bfloat16    speed and RMSE of other arithmetic beside float32
  python -m bench compare results/before results/after --max-regression 5%
  python -m bench parity results/jax results/torch          the same model in both?
  python -m bench page results/after -o after.html
  python -m bench sweep --over batch-size --backends jax    what of a step is fixed, what grows
  python -m bench history results/ -o history.html          step time over all reports, with its changes

exit codes: 0 fine; 1 measured, and something is slower, worse or out of parity;
2 bad input or usage; 3 some runs failed or were cut off (the others are saved)
"""


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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = _parser().parse_args(argv)
    with interrupts_once():
        return _carry_out(arguments)


def _carry_out(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()  # here, where a reader that has gone can still be told from an error
    except (BenchError, MovierankError) as error:
        if arguments.debug:
            raise
        print(f"bench: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        print("bench: interrupted", file=sys.stderr)
        return RUNS_FAILED
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered must go somewhere
        return FINE
    return code


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = ShortParser(
        prog="python -m bench",
        description="Which Keras backend trains this ranking model fastest here, how sure is that, and is it "
        "still the same model?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    compare_command.add(commands)
    parity_command.add(commands)
    history_command.add(commands)
    mutants_command.add(commands)
    sweep_command.add(commands)

    page = commands.add_parser("page", help="write a report as one HTML page (or its figure as .svg or .png)")
    page.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or file")
    page.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".html, .svg or .png")
    page.set_defaults(command=_page)

    validate_command.add(commands)

    doctor = commands.add_parser("doctor", help="say which backends, devices and data would work here")
    doctor.set_defaults(command=_doctor)

    schema = commands.add_parser("schema", help="print the JSON Schema of report.json")
    schema.set_defaults(command=_schema)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from movierank.cli import add_data_options

    run = commands.add_parser(
        "run",
        help="measure and write a report",
        description="Measures each backend on each device in several worker processes and writes a report.",
    )
    run.set_defaults(command=_run, arithmetic=None)
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


def _run(arguments: argparse.Namespace) -> int:
    from bench.measure import measure
    from bench.options import Options
    from bench.progress import LastingConsole
    from bench.table import print_report

    output = arguments.output or Path("results/local") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    given = {name: value for name in HOW_TO_MEASURE if (value := getattr(arguments, name)) is not None}
    options = Options(
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
    try:
        report = measure(options, LastingConsole(stderr=True))
    except KeyboardInterrupt:
        kept = (
            f"; what was measured is in {output}, --resume goes on with it" if (output / "report.json").exists() else ""
        )
        print(f"bench: interrupted{kept}", file=sys.stderr)
        return RUNS_FAILED
    _write_page_beside(output)
    print_report(report, output, LastingConsole())
    return exit_code(report)


def _write_page_beside(output: Path) -> None:
    """Writes `report.html` into the report's directory where Matplotlib is there to draw it.

    In a process of its own: Matplotlib would double the supervisor's memory. A page that cannot be written
    takes nothing from the report, so its error is only shown.
    """
    if importlib.util.find_spec("matplotlib") is not None:
        from bench.report_file import PAGE_NAME

        command = [sys.executable, "-m", "bench", "page", str(output), "-o", str(output / PAGE_NAME)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def _page(arguments: argparse.Namespace) -> int:
    from bench.page import write_page
    from bench.report_file import load_report

    write_page([(str(path), load_report(path)) for path in arguments.reports], arguments.output)
    print(f"wrote {arguments.output}")
    return FINE


def _doctor(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.doctor import examine

    return FINE if examine(Console()) else RUNS_FAILED


def _schema(arguments: argparse.Namespace) -> int:
    import msgspec

    from bench.report import Report

    print(msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=2).decode())
    return FINE
