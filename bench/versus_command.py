"""`python -m bench versus`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import run_command
from bench.compare_command import add_verdict_options, print_comparison
from bench.outcome import FINE, RUNS_FAILED, WORSE
from bench.parity_command import joined_of


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
    versus = commands.add_parser(
        "versus",
        help="measure two environments against each other",
        description="Measures two Python environments in one run, such as before and after an upgrade: workers of both "
        "side by side, their rounds interleaved, so that drift of the machine cancels. Writes a report of each, "
        "OUTPUT/base and OUTPUT/new, and compares them.",
    )
    versus.add_argument("base", metavar="BASE_PYTHON", help="interpreter or virtual environment, the older one")
    versus.add_argument("new", metavar="NEW_PYTHON", help="likewise, the newer one")
    run_command.add_options(versus)
    add_verdict_options(versus)
    versus.set_defaults(command=_versus)


def _versus(arguments: argparse.Namespace) -> int:
    from bench.compare_reports import compare_reports
    from bench.outcome import exit_code
    from bench.progress import LastingConsole
    from bench.two_environments import measure_versus

    options = run_command.options_of(arguments)
    try:
        base, new = measure_versus(options, (arguments.base, arguments.new), LastingConsole(stderr=True))
    except KeyboardInterrupt:
        kept = (options.output / "base" / "report.json").exists()
        told = f"; what was measured is in {options.output}, --resume goes on with it" if kept else ""
        print(f"bench: interrupted{told}", file=sys.stderr)
        return RUNS_FAILED
    for side in ("base", "new"):
        run_command.write_page_beside(options.output / side)
    comparison = compare_reports(base, new, max_regression=arguments.max_regression)
    code = print_comparison(comparison, arguments)
    print(f"reports: {options.output}/base and {options.output}/new", file=sys.stderr)
    if base.parity and new.parity:
        code = max(code, _parity_between(options.output))
    failed = RUNS_FAILED in (exit_code(base), exit_code(new))
    return RUNS_FAILED if failed else code


def _parity_between(output: Path) -> int:
    """Says whether both sides trained the same model, and returns whether one lies outside of the other."""
    from bench.parity_records import ORACLE
    from bench.parity_words import headline

    joined = joined_of([output / "base", output / "new"])
    print(headline(joined), file=sys.stderr)
    # What both have against the oracle is not the newer one's doing, and each report tells it.
    apart = any(result.b != ORACLE and _side(result.a) != _side(result.b) for result in joined.outside)
    return WORSE if apart else FINE


def _side(cell: str) -> str:
    return cell.partition(":")[0]
