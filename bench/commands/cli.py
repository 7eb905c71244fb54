"""`python -m bench`: its commands, and what happens when one fails.

A command imports what it needs when it runs, so that `--help` and `compare` start at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.commands import (
    compare,
    completion,
    doctor,
    export,
    history,
    mutants,
    page,
    parity,
    run,
    schema,
    score,
    sweep,
    validate,
    versus,
)
from bench.commands.ending import ERRORS, report_error
from bench.system.interrupts import interrupts_once
from movierank.commands.lasting_output import lasting_output
from movierank.commands.short_parser import ShortParser

COMMANDS = (
    *(run, versus, compare, parity, history, mutants, sweep, score, page, export, validate),
    *(doctor, schema, completion),
)

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
    """Run one command and return its exit code."""
    with lasting_output():
        arguments = _parser().parse_args(argv)
        with interrupts_once():
            return _carry_out(arguments)


def _carry_out(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.command(arguments)
    except ERRORS as error:
        if arguments.debug:
            raise
        return report_error(error)
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
    for command in COMMANDS:
        command.add(commands)
    return parser
