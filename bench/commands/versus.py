"""`python -m bench versus`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys

from bench.commands import run as run_command
from bench.commands.compare import add_verdict_options, answer
from bench.commands.ending import keeping
from bench.comparison.limits import Limits
from bench.measure.asked import asked_of, versus_options_from

EXAMPLES = """examples:
  python -m bench versus .venv/old .venv/new --backends jax
  python -m bench versus .venv/old .venv/new --backends torch --precision 1% --budget 20m
  python -m bench versus /usr/bin/python3.11 /usr/bin/python3.12 --quick
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    versus = commands.add_parser(
        "versus",
        help="measure two environments against each other",
        description="Measures two Python environments in one run, such as before and after an upgrade: workers of both "
        "side by side, their rounds interleaved, so that drift of the machine cancels. Writes a report of each, "
        "OUTPUT/base and OUTPUT/new, and compares them. Unless --processes, --rounds, --precision, --budget or --quick "
        "says otherwise, processes of each are measured until every ratio is known to within 2 %, ten or more, or "
        "until ten minutes are spent, five or more.",
        epilog=EXAMPLES,
    )
    versus.add_argument("base", metavar="BASE_PYTHON", help="interpreter or virtual environment, the older one")
    versus.add_argument("new", metavar="NEW_PYTHON", help="likewise, the newer one")
    run_command.add_options(versus, processes="5 and more")
    add_verdict_options(versus)
    versus.set_defaults(command=_versus)


def _versus(arguments: argparse.Namespace) -> int:
    from bench.api import carry_out
    from bench.report.file import REPORT_NAME
    from bench.text.console import LastingConsole
    from bench.text.parity import headline

    options = versus_options_from(arguments.output, asked_of(arguments))
    pythons = (arguments.base, arguments.new)
    limits = Limits(max_regression=arguments.max_regression)
    with keeping(options.output, options.output / "base" / REPORT_NAME):
        found = carry_out(options, pythons, limits, LastingConsole(stderr=True))
    answer(found.comparison, found.as_json, arguments)
    print(f"reports: {options.output}/base and {options.output}/new", file=sys.stderr)
    if found.parity is not None:
        print(headline(found.parity), file=sys.stderr)
    return found.exit_code
