"""`python -m bench run`: its options, and what it prints."""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.ending import keeping
from bench.measure.asked import asked_of, options_from
from bench.measure.option_table import EXISTING, OPTIONS

if TYPE_CHECKING:
    from bench.measure.options import Options
    from bench.schema.report import Report

EXAMPLES = """examples:
  python -m bench run --quick                    a first look, in minutes
  python -m bench run --backends jax,torch --loops fit,fused
  python -m bench run --precision 2% --budget 10m --output results/mine
  python -m bench run --quick --json | jq .headline
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    run = commands.add_parser(
        "run",
        help="measure and write a report",
        description="Measures each backend on each device in several worker processes and writes a report.",
        epilog=EXAMPLES,
    )
    add_options(run)
    run.add_argument("--json", action="store_true", help="print the answer as JSON instead of a table")
    run.set_defaults(command=_run)


def add_options(run: argparse.ArgumentParser, processes: str | None = None) -> None:
    """Add the options of a measurement, with another default of `--processes` in words if given."""
    for group, options in itertools.groupby(OPTIONS, key=lambda option: option.group):
        section: argparse._ArgumentGroup = run.add_argument_group(group)
        if group == EXISTING:
            section.add_argument("--output", type=Path, metavar="DIR", help="(default: results/local/TIME)")
            section = section.add_mutually_exclusive_group()
        for option in options:
            if option.name == "processes" and processes is not None:
                option = replace(option, default=processes)
            option.add(section)


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the options that the arguments of `add_options` ask for.

    Raises:
        BenchError: a number or a name is invalid.
    """
    return options_from(arguments.output, asked_of(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from bench.api import measure_and_draw
    from bench.report.file import REPORT_NAME
    from bench.schema.outcome import exit_code
    from bench.text.console import LastingConsole, print_json
    from bench.text.report import print_report

    options = options_of(arguments)
    output = options.output
    with keeping(output, output / REPORT_NAME):
        report = measure_and_draw(options, LastingConsole(stderr=True))
    if arguments.json:
        print_json(as_json(report, output))
    else:
        print_report(report, output, LastingConsole())
    return exit_code(report)


def as_json(report: Report, output: Path) -> dict[str, Any]:
    """Return the answer of `run --json` in plain dicts, lists and numbers; a value not measured is null or empty.

    Args:
        report: report of the run.
        output: directory of the report.
    """
    import msgspec

    from bench.report.view import View
    from bench.schema.outcome import exit_code
    from bench.schema.parity import breaks_parity
    from bench.text.headline import headline

    derived = (
        *("step_time", "ratios", "rmse", "metrics", "first_steps", "floors", "time_to_target", "reference_rmse"),
        "profiles",
    )
    return {
        "report": str(output),
        "schema": report.schema,
        "exit_code": exit_code(report),
        "headline": headline(View(report)),
        "workload": msgspec.to_builtins(report.workload),
        **{name: msgspec.to_builtins(getattr(report, name)) for name in derived},
        "parity": {
            "judged": len(report.parity),
            "outside": msgspec.to_builtins([row for row in report.parity if breaks_parity(row)]),
            "known": sorted({row.known for row in report.parity if row.known is not None}),
        },
        "not_measured": [
            {"cell": str(run.cell), "process": run.process, "status": run.status, "error": run.error}
            for run in report.runs
            if run.status != "ok"
        ],
        "warnings": list(report.conditions.warnings) if report.conditions else [],
    }
