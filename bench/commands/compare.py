"""`python -m bench compare`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.comparison.limits import ASSUMED_SD, Limits
from bench.text.numbers import parse_percent

if TYPE_CHECKING:
    from bench.comparison.records import Comparison

EXAMPLES = """examples:
  python -m bench compare results/before results/after
  python -m bench compare results/before results/after --markdown > comment.md
  python -m bench compare results/a results/a --base-cell torch/cpu/fit \\
      --new-cell jax/cpu/fit                     two cells of one report
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    compare = commands.add_parser(
        "compare",
        help="compare two reports",
        description="Compares two reports, or two of pytest-benchmark's JSON files or folders of them; each "
        "file counts as one process.",
        epilog=EXAMPLES,
    )
    compare.add_argument("base", type=Path, metavar="BASE", help="report directory or file, or pytest-benchmark's")
    compare.add_argument("new", type=Path, metavar="NEW", help="likewise; may be BASE with --base-cell and --new-cell")
    which = compare.add_argument_group("what to compare")
    which.add_argument("--base-cell", metavar="CELL", help="compare this cell of BASE, such as torch/cpu/fit, …")
    which.add_argument("--new-cell", metavar="CELL", help="… with this one of NEW, such as jax/cpu/fit")
    which.add_argument("--force", action="store_true", help="compare step times of different machines or workloads")
    which.add_argument(
        "--ignore-noise",
        action="store_true",
        help="decide even where other programs were busy during a measurement, or cores shared no cache",
    )
    drift = which.add_mutually_exclusive_group()
    drift.add_argument(
        "--drift",
        type=parse_percent,
        metavar="3%",
        help="how far (standard deviation) the machine drifts between two measurements "
        f"(default: {100 * ASSUMED_SD:g}%%)",
    )
    drift.add_argument("--validation", type=Path, metavar="FILE", help="take it from a result of `bench validate`")
    add_verdict_options(compare)
    compare.set_defaults(command=_compare)


def add_verdict_options(compare: argparse.ArgumentParser) -> None:
    """Add the options for the limit of a regression and the form of the answer."""
    answer = compare.add_argument_group("the answer")
    answer.add_argument(
        "--max-regression",
        type=parse_percent,
        default=Limits.max_regression,
        metavar="5%",
        help="slowdown that is still fine; where one is surely larger, the exit code is 1 "
        f"(default: {100 * Limits.max_regression:g}%%)",
    )
    form = answer.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print Markdown for a pull request instead of a table")
    compare.add_argument("--junit", type=Path, metavar="FILE", help="also write the verdicts as JUnit XML, for a CI")


def _compare(arguments: argparse.Namespace) -> int:
    from bench.api import compare
    from bench.comparison.words import as_json

    comparison = compare(
        arguments.base,
        arguments.new,
        max_regression=arguments.max_regression,
        base_cell=arguments.base_cell,
        new_cell=arguments.new_cell,
        force=arguments.force,
        ignore_noise=arguments.ignore_noise,
        drift=arguments.drift,
        validation=arguments.validation,
    )
    answer(comparison, lambda: as_json(comparison), arguments)
    return comparison.exit_code


def answer(comparison: Comparison, as_json: Callable[[], object], arguments: argparse.Namespace) -> None:
    """Print a comparison, and write its verdicts as JUnit XML, as the options of `add_verdict_options` ask for.

    Raises:
        BenchError: the verdicts cannot be written.
    """
    if arguments.json:
        from bench.text.console import print_json

        print_json(as_json())
    elif arguments.markdown:
        from bench.comparison.markdown import as_markdown

        print(as_markdown(comparison), end="")
    else:
        from bench.comparison.table import render
        from bench.text.console import LastingConsole

        LastingConsole().print(render(comparison))
    if arguments.junit is not None:
        from bench.export.junit import comparison_as_junit
        from bench.system.files import write_text

        write_text(comparison_as_junit(comparison, "bench compare"), arguments.junit)
    if comparison.nothing_compared:
        print("bench: the two have nothing that can be compared", file=sys.stderr)
