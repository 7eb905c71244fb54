"""`python -m bench sweep`: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.commands.answer import print_answer
from bench.commands.ending import keeping
from bench.errors import BenchError
from bench.measure.asked import Asked, asked_of, options_from
from bench.measure.option_table import BY_NAME
from bench.schema.outcome import FINE, RUNS_FAILED
from bench.text.numbers import parse_duration

if TYPE_CHECKING:
    from bench.studies.sweep.records import Sweep
    from bench.studies.sweep.run import SweepOptions

OVER = ("batch-size", "table-rows", "embedding-dimension", "threads")
DEFAULT: dict[str, Any] = {"processes": 3, "rounds": 3, "round_seconds": 0.2}
QUICK: dict[str, Any] = {"processes": 1, "rounds": 2, "round_seconds": 0.1}

EXAMPLES = """examples:
  python -m bench sweep --over batch-size --backends jax --quick
  python -m bench sweep --over table-rows --values 1k,1M --loops native
  python -m bench sweep --show results/sweep/table-rows
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    sweep = commands.add_parser(
        "sweep",
        help="time a step at several batch sizes, table sizes, widths or numbers of threads",
        description="Times a training step at several sizes and fits what of it is fixed and what grows with the size.",
        epilog=EXAMPLES,
    )
    sweep.set_defaults(command=_sweep)
    what = sweep.add_argument_group("what to sweep over")
    what.add_argument("--over", choices=OVER, default="batch-size", help="(default: %(default)s)")
    what.add_argument("--values", metavar="LIST", help="such as 64,1k,1M (default: by --over)")
    for name in ("backends", "devices", "loops"):
        BY_NAME[name].add(what)
    rest = sweep.add_argument_group("what stays the same")
    rest.add_argument("--dataset", metavar="NAME", help="(default: 100k; over batch sizes and table rows, made up)")
    rest.add_argument("--ratings", type=int, metavar="N", help="of made-up data (default: as many as are needed)")
    for name in ("batch_size", "embedding_dimension", "threads"):
        BY_NAME[name].add(rest)
    how = sweep.add_argument_group("how to measure")
    BY_NAME["processes"].add(how, help="per cell and value (default: 3; quick: 1)")
    BY_NAME["rounds"].add(how, help="timed rounds per process (default: 3; quick: 2)")
    BY_NAME["round_seconds"].add(how, help="shortest time of a round, in seconds (default: 0.2; quick: 0.1)")
    BY_NAME["order_seed"].add(how)
    BY_NAME["timeout"].add(
        how, type=parse_duration, metavar="TIME", help="longest wait for one answer of a worker (default: 10m)"
    )
    BY_NAME["quick"].add(how, help="few values, one process, and so no intervals")
    where = sweep.add_argument_group("where to write")
    where.add_argument("-o", "--output", type=Path, metavar="DIR", help="(default: results/local/sweep-OVER-DATE-TIME)")
    again = where.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the sweep in --output")
    again.add_argument("--overwrite", action="store_true", help="replace the sweep in --output")
    again.add_argument("--show", type=Path, metavar="DIR", help="measure nothing; print and draw the sweep in DIR")
    where.add_argument("--json", action="store_true", help="print sweep.json instead of a table")


def _sweep(arguments: argparse.Namespace) -> int:
    from bench.studies.sweep.records import load_sweep
    from bench.studies.sweep.table import print_sweep

    if arguments.show is not None:
        shown = load_sweep(arguments.show)
        _draw(shown, arguments.show if arguments.show.is_dir() else arguments.show.parent)
        print_answer(shown, print_sweep, arguments)
        return _exit_code(shown)

    from bench.studies.sweep.run import sweep
    from bench.text.console import LastingConsole

    options = _options(arguments)
    output = options.base.output
    with keeping(output):
        result = sweep(options, LastingConsole(stderr=True))
    _draw(result, output)
    print_answer(result, print_sweep, arguments, output)
    return _exit_code(result)


def _options(arguments: argparse.Namespace) -> SweepOptions:
    from bench.studies.sweep.axes import Point, default_values, parse_values, points_of
    from bench.studies.sweep.run import SweepOptions

    if arguments.resume and arguments.output is None:
        raise BenchError("--resume goes on with the sweep in --output; say which")
    quick = arguments.quick
    values = parse_values(arguments.values) if arguments.values else default_values(arguments.over, quick=quick)
    output = arguments.output or Path(
        f"results/local/sweep-{arguments.over}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}"
    )
    given = {name: value for name, value in asked_of(arguments).items() if value is not None}
    asked = {**(QUICK if quick else DEFAULT), **given, "dataset": None, "quick": None}
    base = replace(options_from(output, cast(Asked, asked)), watch_s=0.2)  # at every point and process
    point = Point(
        value=0,
        dataset="",
        batch_size=base.batch_size,
        embedding_dimension=base.embedding_dimension,
        threads=base.threads,
    )
    points = points_of(arguments.over, values, point, arguments.dataset, arguments.ratings)
    return SweepOptions(over=arguments.over, points=points, base=base)


def _draw(result: Sweep, folder: Path) -> None:
    """Write the picture beside `sweep.json` if Altair is installed; nothing measured depends on it."""
    from bench.page.write import can_draw

    if not can_draw():
        return
    from bench.page.pictures import PICTURE_NAME, write_plot

    try:
        write_plot(result, folder / PICTURE_NAME)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)


def _exit_code(result: Sweep) -> int:
    """Return 3 where a run failed or was cut off, or nothing was measured, else 0."""
    statuses = {one.error_status for one in result.measured}
    measured = any(one.step_time_ms is not None for one in result.measured)
    return FINE if measured and statuses <= {None, "skipped"} else RUNS_FAILED
