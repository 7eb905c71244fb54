"""`python -m bench score`: its options, and what it prints."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.answer import print_answer
from bench.commands.ending import keeping
from bench.measure.option_table import BY_NAME
from bench.schema.outcome import FINE, RUNS_FAILED, WORSE

if TYPE_CHECKING:
    from bench.studies.score.records import ScoreReport

QUICK: dict[str, Any] = {"processes": 2, "rounds": 3, "round_pairs": 400_000, "patience_s": 15.0}

EXAMPLES = """examples:
  python -m bench score --quick --backends jax
  python -m bench score --size 10000x100000 --top 20
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    score = commands.add_parser(
        "score",
        help="find the best movies of all users, and measure how fast each backend does",
        description="Scores every movie for every user and keeps the best of each: pairs a second in each backend, "
        "beside the floor that its fastest matrix product sets and beside Keras's predict; and whether all find the "
        "movies that exact arithmetic finds. The model has seeded initial weights.",
        epilog=EXAMPLES,
    )
    for name in ("backends", "devices"):
        BY_NAME[name].add(score)
    score.add_argument(
        "--size", type=parse_size, default=(943, 1682), metavar="UxM", help="users x movies (default: 943x1682)"
    )
    score.add_argument("--top", type=int, dest="k", metavar="K", help="movies kept for each user (default: 10)")
    score.add_argument(
        "--users", type=int, metavar="N", help="score the first N in a round (default: some four million pairs' worth)"
    )
    score.add_argument("--processes", type=int, metavar="N", help="per backend and device (default: 3; quick: 2)")
    score.add_argument("--rounds", type=int, metavar="N", help="timed rounds per process (default: 5; quick: 3)")
    for name in ("patience", "threads", "order_seed", "timeout", "quick"):
        BY_NAME[name].add(score, dest=BY_NAME[name].attribute or name)
    score.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    score.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: results/local/score-UxM.json)")
    score.add_argument("--overwrite", action="store_true", help="replace the result in --output")
    score.set_defaults(command=_score)


def parse_size(text: str) -> tuple[int, int]:
    """Return the numbers of users and movies in `UxM`.

    Raises:
        argparse.ArgumentTypeError: it is not of that form, or a number is 0.
    """
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if found is None or not (int(found[1]) and int(found[2])):
        raise argparse.ArgumentTypeError(f"expected USERSxMOVIES such as 943x1682; received {text!r}")
    return int(found[1]), int(found[2])


def _score(arguments: argparse.Namespace) -> int:
    from bench.measure.matrix import parse_cells
    from bench.studies.score.options import Options
    from bench.studies.score.run import measure_scoring
    from bench.studies.score.table import print_scoring
    from bench.system.files import refuse_existing
    from bench.text.console import LastingConsole

    users, movies = arguments.size
    output = arguments.output or Path("results/local") / f"score-{users}x{movies}.json"
    refuse_existing(output, overwrite=arguments.overwrite)
    names = ("k", "users", "processes", "rounds", "threads", "order_seed", "timeout_s", "patience_s")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    options = Options(
        cells=parse_cells(arguments.backends, arguments.devices, "fit"),
        output=output,
        num_users=users,
        num_movies=movies,
        **{**(QUICK if arguments.quick else {}), **given},
    )
    with keeping(output, resumes=False):
        report = measure_scoring(options, LastingConsole(stderr=True))
    print_answer(report, print_scoring, arguments, output)
    return exit_code(report)


def exit_code(report: ScoreReport) -> int:
    """Return 3 where a run failed or nothing was measured, 1 where movies differ beyond rounding, else 0."""
    statuses = {run.status for run in report.runs}
    if "ok" not in statuses or statuses - {"ok", "skipped"}:
        return RUNS_FAILED
    return WORSE if any(found.verdict == "outside" for found in report.agreement) else FINE
