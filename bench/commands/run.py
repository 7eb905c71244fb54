"""`python -m bench run`: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.api import measure_and_draw
from bench.commands.ending import ENDS_EARLY, cut_off
from bench.report.view import View
from bench.schema.cell import FULL, PRECISIONS
from bench.schema.outcome import exit_code
from bench.schema.parity import breaks_parity
from bench.schema.report import Report
from bench.text.headline import headline
from bench.text.numbers import parse_duration, parse_precision
from movierank.backends import BACKENDS

if TYPE_CHECKING:
    from bench.measure.options import Options


EXAMPLES = """examples:
  python -m bench run --quick                    a first look, in minutes
  python -m bench run --backends jax,torch --loops fit,fused
  python -m bench run --precision 2% --budget 10m --output results/mine
  python -m bench run --quick --json | jq .headline
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
    run = commands.add_parser(
        "run",
        help="measure and write a report",
        description="Measures each backend on each device in several worker processes and writes a report.",
        epilog=EXAMPLES,
    )
    add_options(run)
    run.add_argument("--json", action="store_true", help="print the answer as JSON instead of a table")
    run.set_defaults(command=_run)


def add_options(run: argparse.ArgumentParser, processes: str = "5") -> None:
    """Adds what to measure, how, and where to write it."""
    from movierank.commands.data_options import add_data_options

    what = run.add_argument_group("what to compare")
    what.add_argument("--backends", default=",".join(BACKENDS), metavar="LIST", help="(default: %(default)s)")
    what.add_argument("--devices", default="cpu", metavar="LIST", help="cpu, gpu or gpu:N (default: %(default)s)")
    what.add_argument("--loops", default="fit", metavar="LIST", help="how training is driven (default: %(default)s)")
    add_data_options(run)
    workload = run.add_argument_group("workload")
    workload.add_argument(
        "--workload",
        metavar="MODULE:OBJECT",
        help="a model of your own, also path/file.py:object, with its data (docs/own-workload.md)",
    )
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
    how.add_argument(
        "--processes", type=int, metavar="N", help=f"per cell, at least --seeds (default: {processes}; quick: 2)"
    )
    how.add_argument("--seeds", type=int, metavar="N", help="seeds of the initial weights (default: 3; quick: 2)")
    how.add_argument("--rounds", type=int, metavar="N", help="timed rounds per process (default: 5; quick: 4)")
    how.add_argument("--round-seconds", type=float, metavar="S", help="of a round (default: 0.4; quick: 0.2)")
    how.add_argument(
        "--precision",
        action="append",
        type=parse_precision,
        metavar="2%|LIST",
        help="2%%: start processes until every interval is this narrow either way (with --budget 5m if none is "
        f"given), ten at least; a list of {', '.join(PRECISIONS)}: arithmetic to compare, each a cell of its own "
        f"(default: {FULL}). May be given twice, once for each",
    )
    how.add_argument(
        "--budget",
        type=parse_duration,
        metavar="5m",
        help="start processes as long as this allows (parity not counted), but in any case five of a cell, or "
        "--processes",
    )
    how.add_argument(
        "--patience",
        type=parse_duration,
        metavar="2m",
        help="how long to wait in all while the machine's cores do not share a cache, and to repeat rounds timed "
        "meanwhile (default: 2m; quick: 15s)",
    )
    how.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a first look")
    how.add_argument("--threads", type=int, metavar="N", help="CPU threads of a worker (default: all usable cores)")
    how.add_argument("--order-seed", type=int, metavar="N", help="of the rounds' order (default: 0)")
    how.add_argument("--timeout", type=float, metavar="SECONDS", help="for one answer (default: 600)")
    how.add_argument("--parity", action=argparse.BooleanOptionalAction, help="judge parity (default: on small data)")
    how.add_argument(
        "--profile",
        action="store_true",
        help="afterwards trace some steps of each cell, to tell where their time goes (docs/profile.md)",
    )
    how.add_argument(
        "--envelope",
        choices=("oracle", "backend"),
        help="whose rounding parity is judged by: that of the oracle's float32 copies, or of permuted copies that "
        "each cell trains itself after the measurement (default: oracle)",
    )
    how.add_argument(
        "--copies", type=int, metavar="N", help="of each cell and seed for --envelope backend (default: 6)"
    )
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
    from bench.measure.asked import asked_of, options_from

    return options_from(arguments.output, asked_of(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from bench.report.file import REPORT_NAME
    from bench.text.console import LastingConsole, print_json
    from bench.text.report import print_report

    options = options_of(arguments)
    output = options.output
    try:
        report = measure_and_draw(options, LastingConsole(stderr=True))
    except ENDS_EARLY as error:
        if arguments.debug:
            raise
        return cut_off(error, output, output / REPORT_NAME)
    if arguments.json:
        print_json(as_json(report, output))
    else:
        print_report(report, output, LastingConsole())
    return exit_code(report)


def as_json(report: Report, output: Path) -> dict[str, Any]:
    """Returns plain dicts, lists and numbers; what was not measured is null or an empty list.

    Args:
        report: as it was measured.
        output: its directory.
    """
    derived = (
        *("step_time", "ratios", "rmse", "metrics", "first_steps", "floors", "time_to_target", "reference_rmse"),
        "profiles",
    )
    outside = [row for row in report.parity if breaks_parity(row)]
    return {
        "report": str(output),
        "schema": report.schema,
        "exit_code": exit_code(report),
        "headline": headline(View(report)),
        "workload": msgspec.to_builtins(report.workload),
        **{name: msgspec.to_builtins(getattr(report, name)) for name in derived},
        "parity": {
            "judged": len(report.parity),
            "outside": msgspec.to_builtins(outside),
            "known": sorted({row.known for row in report.parity if row.known is not None}),
        },
        "not_measured": [
            {"cell": str(run.cell), "process": run.process, "status": run.status, "error": run.error}
            for run in report.runs
            if run.status != "ok"
        ],
        "warnings": list(report.conditions.warnings) if report.conditions else [],
    }
