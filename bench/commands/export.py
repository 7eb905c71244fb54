"""`python -m bench export`: its options, and what it prints."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from bench.errors import BenchError
from bench.export import FORMATS
from bench.schema.outcome import FINE

EXAMPLES = """
examples:
  python -m bench export results/mine --to markdown | gh pr comment --body-file -
  python -m bench export results/mine --to junit -o mine.xml
  python -m bench export results/a results/b --to csv > rounds.csv
  python -m bench export results/mine --to mlflow --tracking-uri http://localhost:5000
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    export = commands.add_parser(
        "export",
        help="write reports in the formats of other tools",
        description="Writes reports in the format of another tool. What a report lacks is absent, never 0.",
        epilog="formats:\n" + "".join(f"  {name:<18}{what}\n" for name, what in FORMATS.items()) + EXAMPLES,
    )
    export.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or file")
    export.add_argument("--to", choices=list(FORMATS), required=True, metavar="FORMAT", help=", ".join(FORMATS))
    export.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file, or folder where a format has several files"
    )
    export.add_argument("--tracking-uri", metavar="URI", help="mlflow: where to log (default: MLflow's own)")
    export.add_argument("--experiment", metavar="NAME", help="mlflow: experiment to log to (default: movierank-bench)")
    export.add_argument("--json", action="store_true", help="print what was written as JSON; with -o, or for mlflow")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    from bench.export.writing import TEXTS, write_export
    from bench.report.view import load_views
    from bench.text.console import print_json

    if arguments.to != "mlflow" and (arguments.tracking_uri or arguments.experiment):
        raise BenchError("--tracking-uri and --experiment are for --to mlflow")
    if arguments.json and arguments.output is None and arguments.to in TEXTS:
        raise BenchError("without -o the export itself goes to standard output, where --json would be; give -o FILE")
    aside = contextlib.redirect_stdout(sys.stderr)  # MLflow prints a line for each run of a server
    with aside if arguments.json else contextlib.nullcontext():
        written = write_export(
            load_views(arguments.reports),
            arguments.to,
            arguments.output,
            arguments.tracking_uri,
            arguments.experiment or "movierank-bench",
        )
    if arguments.json:
        print_json(written.as_json())
    elif written.message:
        print(written.message, file=sys.stderr)
    return FINE
