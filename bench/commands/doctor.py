"""`python -m bench doctor`: which backends, devices and data would work here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.commands.answer import print_answer
from bench.schema.outcome import FINE, RUNS_FAILED

if TYPE_CHECKING:
    from rich.console import Console

    from bench.measure.doctor import Findings

EXAMPLES = """examples:
  python -m bench doctor
  python -m bench doctor --json | jq '.backends[] | select(.works)'
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    doctor = commands.add_parser(
        "doctor",
        help="say which backends, devices and data would work here",
        description="Starts a worker for each backend and device, and looks at the data and at what could spoil a "
        "measurement now. Ends with 3 where no backend works.",
        epilog=EXAMPLES,
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    doctor.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from bench.measure.doctor import examine

    findings = examine()
    print_answer(findings, print_findings, arguments)
    return FINE if findings.works else RUNS_FAILED


def print_findings(findings: Findings, console: Console) -> None:
    """Print which backends and devices work, the data, and what could spoil a measurement now."""
    from rich.text import Text

    from bench.text.table import FittingTable
    from movierank.install_hint import install_hint

    table = FittingTable(title="Backends", title_justify="left", named_by=2)
    for column in ("Backend", "Device", "Works", "Detail"):
        table.add_column(column, no_wrap=column != "Detail", overflow="fold")
    for each in findings.backends:
        works = Text("yes", style="green") if each.works else Text("no", style="yellow")
        table.add_row(each.backend, each.device, works, Text(each.detail))
    console.print(table)
    console.print(f"Data: {findings.data}")
    for warning in findings.noise:
        console.print(f"Noise: {warning}")
    console.print(findings.cores)
    if findings.works:
        ready = ",".join(dict.fromkeys(each.backend for each in findings.backends if each.works))
        console.print(f"Ready: python -m bench run --backends {ready}")
    else:
        console.print(f"No backend works here: {install_hint('all')}", soft_wrap=True)
