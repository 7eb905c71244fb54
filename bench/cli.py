"""`python -m bench`: its options, and what each command calls.

What a command needs is imported when it runs, so that `--help` and `compare` start at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import (
    compare_command,
    export_command,
    history_command,
    mutants_command,
    parity_command,
    run_command,
    score_command,
    sweep_command,
    validate_command,
    versus_command,
)
from bench.errors import BenchError
from bench.interrupts import interrupts_once
from bench.outcome import BAD_INPUT, FINE, RUNS_FAILED
from movierank.errors import MovierankError
from movierank.short_parser import ShortParser

EXAMPLES = """examples:
  python -m bench run                                       all backends on the CPU, MovieLens 100K
  python -m bench run --quick --backends jax,torch          a first look, in a minute
  python -m bench run --devices cpu,gpu --output results/my-gpu
  python -m bench run --precision 2% --budget 10m           until the intervals are within 2 %
  python -m bench run --precision float32,mixed_bfloat16    speed and RMSE of other arithmetic beside float32
  python -m bench compare results/before results/after --max-regression 5%
  python -m bench versus .venv/old .venv/new                two environments in one run, compared
  python -m bench parity results/jax results/torch          the same model in both?
  python -m bench page results/after -o after.html
  python -m bench export results/after --to junit -o after.xml
  python -m bench sweep --over batch-size --backends jax    what of a step is fixed, what grows
  python -m bench history results/ -o history.html          step time over all reports, with its changes

exit codes: 0 fine; 1 measured, and something is slower, worse or out of parity;
2 bad input or usage; 3 some runs failed or were cut off (the others are saved)
"""


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
    run_command.add(commands)
    versus_command.add(commands)
    compare_command.add(commands)
    parity_command.add(commands)
    history_command.add(commands)
    mutants_command.add(commands)
    sweep_command.add(commands)
    score_command.add(commands)

    page = commands.add_parser("page", help="write a report as one HTML page (or its figure as .svg or .png)")
    page.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or file")
    page.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".html, .svg or .png")
    page.set_defaults(command=_page)

    export_command.add(commands)
    validate_command.add(commands)

    doctor = commands.add_parser("doctor", help="say which backends, devices and data would work here")
    doctor.set_defaults(command=_doctor)

    schema = commands.add_parser("schema", help="print the JSON Schema of report.json")
    schema.set_defaults(command=_schema)
    return parser


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
