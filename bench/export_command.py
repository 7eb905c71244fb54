"""`python -m bench export`: its options, and what it calls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.errors import BenchError
from bench.export import FORMATS
from bench.outcome import FINE


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
    export = commands.add_parser(
        "export",
        help="write reports in the formats of other tools",
        description="Writes reports in the format of another tool. What a report lacks is absent, never 0.",
        epilog="formats:\n" + "\n".join(f"  {name:<18}{what}" for name, what in FORMATS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or file")
    export.add_argument("--to", choices=list(FORMATS), required=True, metavar="FORMAT", help=", ".join(FORMATS))
    export.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file, or folder where a format has several files"
    )
    export.add_argument("--tracking-uri", metavar="URI", help="mlflow: where to log (default: MLflow's own)")
    export.add_argument("--experiment", metavar="NAME", help="mlflow: experiment to log to (default: movierank-bench)")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    from bench.export.exported import load_exported
    from bench.export.writing import write_export

    if arguments.to != "mlflow" and (arguments.tracking_uri or arguments.experiment):
        raise BenchError("--tracking-uri and --experiment are for --to mlflow")
    line = write_export(
        load_exported(arguments.reports),
        arguments.to,
        arguments.output,
        arguments.tracking_uri,
        arguments.experiment or "movierank-bench",
    )
    if line is not None:
        print(line, file=sys.stderr)
    return FINE
