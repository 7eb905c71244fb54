"""`python -m bench doctor`: which backends, devices and data would work here."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.text import Text

from bench.measure.doctor import Findings
from bench.schema.outcome import FINE, RUNS_FAILED
from bench.text.table import FittingTable
from movierank.install_hint import install_hint

DOCTOR_EXAMPLES = """examples:
  python -m bench doctor
  python -m bench doctor --json | jq '.backends[] | select(.works)'
"""


def _doctor(arguments: argparse.Namespace) -> int:
    from bench.measure.doctor import examine
    from bench.text.console import LastingConsole, print_json

    findings = examine()
    if arguments.json:
        print_json(findings)
    else:
        print_findings(findings, LastingConsole())
    return FINE if findings.works else RUNS_FAILED


def print_findings(findings: Findings, console: Console) -> None:
    """Prints what works and what does not."""
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
