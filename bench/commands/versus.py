"""`python -m bench versus`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys

from bench.commands import run as run_command
from bench.commands.compare import add_verdict_options, print_comparison, write_verdicts
from bench.commands.ending import ENDS_EARLY, cut_off

EXAMPLES = """examples:
  python -m bench versus .venv/old .venv/new --backends jax
  python -m bench versus .venv/old .venv/new --backends torch --precision 1% --budget 20m
  python -m bench versus /usr/bin/python3.11 /usr/bin/python3.12 --quick
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
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
    from bench.measure.asked import asked_of, versus_options_from
    from bench.report.file import REPORT_NAME
    from bench.text.console import LastingConsole, print_json
    from bench.text.parity import headline

    options = versus_options_from(arguments.output, asked_of(arguments))
    pythons = (arguments.base, arguments.new)
    try:
        found = carry_out(options, pythons, arguments.max_regression, LastingConsole(stderr=True))
    except ENDS_EARLY as error:
        if arguments.debug:
            raise
        return cut_off(error, options.output, options.output / "base" / REPORT_NAME)
    if arguments.json:
        print_json(found.as_json())
    else:
        print_comparison(found.comparison, arguments)
    if arguments.junit is not None:
        write_verdicts(found.comparison, arguments.junit)
    print(f"reports: {options.output}/base and {options.output}/new", file=sys.stderr)
    if found.comparison.nothing_compared:
        print("bench: the two have nothing that can be compared", file=sys.stderr)
    if found.parity is not None:
        print(headline(found.parity), file=sys.stderr)
    return found.exit_code
