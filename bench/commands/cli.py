"""`python -m bench`: its options, and what each command calls.

What a command needs is imported when it runs, so that `--help` and `compare` start at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.commands import compare as compare_command
from bench.commands import completion as completion_command
from bench.commands import export as export_command
from bench.commands import history as history_command
from bench.commands import mutants as mutants_command
from bench.commands import page as page_command
from bench.commands import parity as parity_command
from bench.commands import run as run_command
from bench.commands import score as score_command
from bench.commands import sweep as sweep_command
from bench.commands import validate as validate_command
from bench.commands import versus as versus_command
from bench.commands.doctor import DOCTOR_EXAMPLES, _doctor
from bench.commands.schema import SCHEMA_EXAMPLES, _schema
from bench.errors import BenchError
from bench.schema.outcome import BAD_INPUT, RUNS_FAILED
from bench.system.interrupts import interrupts_once
from movierank.commands.lasting_output import lasting_output
from movierank.commands.short_parser import ShortParser
from movierank.errors import MovierankError

EXAMPLES = """examples:
  python -m bench doctor                  which backends and devices work here
  python -m bench run --quick             a first look at all of them, on the CPU
  python -m bench run                     the whole measurement, some minutes
  python -m bench compare results/before results/after
  python -m bench page results/after -o after.html
  python -m bench export results/after --to junit -o after.xml
  python -m bench run --help              all its options; likewise for each command

exit codes: 0 fine; 1 measured, and something is worse, out of parity, or surely
slower by more than --max-regression; 2 bad input or usage; 3 some runs failed or
were cut off (the rest is saved)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    with lasting_output():
        arguments = _parser().parse_args(argv)
        with interrupts_once():
            return _carry_out(arguments)


def _carry_out(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.command(arguments)
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
    return code


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = ShortParser(
        prog="python -m bench",
        description="Which Keras backend trains this ranking model fastest here, how sure is that, and is it "
        "still the same model?",
        epilog=EXAMPLES,
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
    page_command.add(commands)
    export_command.add(commands)
    validate_command.add(commands)

    doctor = commands.add_parser(
        "doctor",
        help="say which backends, devices and data would work here",
        description="Starts a worker for each backend and device, and looks at the data and at what could spoil a "
        "measurement now. Ends with 3 where no backend works.",
        epilog=DOCTOR_EXAMPLES,
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    doctor.set_defaults(command=_doctor)

    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of report.json",
        description="Prints the JSON Schema of report.json, with all its keys.",
        epilog=SCHEMA_EXAMPLES,
    )
    schema.set_defaults(command=_schema)

    completion_command.add(commands, _parser)
    return parser
