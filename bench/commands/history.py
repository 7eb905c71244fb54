"""`python -m bench history`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.schema.outcome import FINE

EXAMPLES = """examples:
  python -m bench history results/
  python -m bench history results/ --cell jax/cpu/fit -o history.html
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    history = commands.add_parser(
        "history",
        help="list step times over reports in time order, with their changes",
        description="Finds the reports below folders, puts those of equal workload, machine and threads in order of "
        "time, and marks from which report on a step takes longer or shorter.",
        epilog=EXAMPLES,
    )
    history.add_argument("paths", type=Path, nargs="+", metavar="DIR", help="folder with reports at any depth to 4")
    history.add_argument("--cell", metavar="CELL", help="this one alone, such as jax/cpu/fit")
    history.add_argument("-o", "--output", type=Path, metavar="FILE", help="plot it to .html, .svg or .png")
    history.add_argument("--json", action="store_true", help="print JSON instead of tables")
    history.set_defaults(command=_history)


def _history(arguments: argparse.Namespace) -> int:
    from bench.comparison.history import as_json, collect
    from bench.text.console import LastingConsole, print_json

    groups = collect(arguments.paths, cell=arguments.cell, broken=lambda line: print(f"bench: {line}", file=sys.stderr))
    if arguments.output:
        from bench.page.pictures import write_history

        write_history(groups, arguments.output)
    if arguments.json:
        print_json(as_json(groups))
    else:
        from bench.comparison.history_table import render

        LastingConsole().print(render(groups))
    if arguments.output:
        print(f"wrote {arguments.output}", file=sys.stderr)
    return FINE
