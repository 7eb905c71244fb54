"""`python -m bench parity`: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.errors import BenchError
from bench.schema.outcome import FINE, RUNS_FAILED, WORSE

EXAMPLES = """examples:
  python -m bench parity results/jax results/torch
  python -m bench parity results/mine --json     judge one report again
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    parity = commands.add_parser(
        "parity",
        help="judge whether reports hold the same model",
        description="Joins reports measured in separate environments or on different machines, and judges at every "
        "stage of training whether all their cells are the same model. One report alone is judged again.",
        epilog=EXAMPLES,
    )
    parity.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or its report.json")
    parity.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parity.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the JSON to a file as well")
    parity.set_defaults(command=_parity)


def _parity(arguments: argparse.Namespace) -> int:
    import msgspec

    from bench.parity.load import joined_of
    from bench.schema.parity import counts
    from bench.system.files import write_text

    joined = joined_of(arguments.reports)
    as_json = msgspec.json.format(msgspec.json.encode(joined), indent=2)
    if arguments.output:
        write_text(f"{as_json.decode()}\n", arguments.output)
    if arguments.json:
        print(as_json.decode())
    else:
        from bench.text.console import LastingConsole
        from bench.text.parity_table import render

        console = LastingConsole()
        console.print(render(joined, console.width))
    if joined.outside:
        return WORSE
    if not any(counts(result) for result in joined.results):
        raise BenchError("nothing was compared: the reports hold no finished training in float32")
    return RUNS_FAILED if joined.failed else FINE
