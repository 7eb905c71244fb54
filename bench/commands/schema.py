"""`python -m bench schema`: the JSON Schema of report.json."""

from __future__ import annotations

import argparse

from bench.schema.outcome import FINE

EXAMPLES = """examples:
  python -m bench schema > report.schema.json
  python -m bench schema | jq '."$defs" | keys'
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of report.json",
        description="Prints the JSON Schema of report.json, with all its keys.",
        epilog=EXAMPLES,
    )
    schema.set_defaults(command=_schema)


def _schema(arguments: argparse.Namespace) -> int:
    import msgspec

    from bench.schema.report import Report
    from bench.text.console import print_json

    print_json(msgspec.json.schema(Report))
    return FINE
