"""`python -m bench page`: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.schema.outcome import FINE

EXAMPLES = """examples:
  python -m bench page results/mine -o mine.html
  python -m bench page results/before results/after -o both.html
  python -m bench page results/mine -o mine.svg       the figure alone
  python -m bench page results/mine -o mine.html --json
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    page = commands.add_parser(
        "page",
        help="write a report as one HTML page (or its figure as .svg or .png)",
        description="Writes reports, sweeps, scorings and planted faults as one page that opens without a network; or "
        "the figure of reports alone, where the file's name ends with .svg or .png.",
        epilog=EXAMPLES,
    )
    page.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or file")
    page.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".html, .svg or .png")
    page.add_argument("--json", action="store_true", help="print what was written as JSON")
    page.set_defaults(command=_page)


def _page(arguments: argparse.Namespace) -> int:
    from bench.page.inputs import load_shown
    from bench.page.write import check_output, write_page
    from bench.text.console import print_json

    check_output(arguments.output)
    shown = load_shown(arguments.reports)
    left_out = write_page(shown, arguments.output)
    if not arguments.json:
        print("\n".join([f"wrote {arguments.output}", *([left_out] if left_out else [])]))
        return FINE
    written = {
        "written": str(arguments.output),
        "format": arguments.output.suffix.lower().removeprefix("."),
        "bytes": arguments.output.stat().st_size,
        "left_out": left_out,
        **shown.names,
    }
    print_json(written)
    return FINE
