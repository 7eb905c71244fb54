"""`python -m bench parity`: its options, and what it reads and prints."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.outcome import FINE, RUNS_FAILED, WORSE, counts

if TYPE_CHECKING:
    from bench.joinable import NamedReport
    from bench.joined_parity import JoinedParity
    from bench.report import Workload
    from movierank.splits import Split


EXAMPLES = """examples:
  python -m bench parity results/jax results/torch
  python -m bench parity results/mine --json     judge one report again
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the program's."""
    parity = commands.add_parser(
        "parity",
        help="judge whether reports hold the same model",
        description="Joins reports measured in separate environments or on different machines, and judges at every "
        "stage of training whether all their cells are the same model. One report alone is judged again.",
        epilog=EXAMPLES,
    )
    parity.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report directory or its report.json")
    parity.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parity.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the JSON to a file as well")
    parity.set_defaults(command=_parity)


def _parity(arguments: argparse.Namespace) -> int:
    import msgspec

    from bench.report_file import write_text

    joined = joined_of(arguments.reports)
    as_json = msgspec.json.format(msgspec.json.encode(joined), indent=2)
    if arguments.output:
        write_text(f"{as_json.decode()}\n", arguments.output)
    if arguments.json:
        print(as_json.decode())
    else:
        from bench.lasting_console import LastingConsole
        from bench.parity_table import render

        console = LastingConsole()
        console.print(render(joined, console.width))
    if joined.outside:
        return WORSE
    if not any(counts(result) for result in joined.results):
        raise BenchError("nothing was compared: the reports hold no finished training in float32")
    return RUNS_FAILED if joined.failed else FINE


def joined_of(paths: Sequence[Path]) -> JoinedParity:
    """Judges the reports that lie there together: of the built-in workload by the prepared ratings.

    Raises:
        BenchError: they cannot be read or joined, or the ratings are others.
    """
    reports = _load(paths)
    workload = reports[0].report.workload
    if workload.workload is not None:
        from bench.joined_own import join_own

        return join_own(reports)
    from bench.joined_parity import join

    return join(reports, _split(workload))


def _load(paths: Sequence[Path]) -> list[NamedReport]:
    from bench.joinable import NamedReport, require_joinable
    from bench.predictions import load_arrays
    from bench.report_file import PREDICTIONS_NAME, load_report, report_path

    folders = [report_path(path).absolute().parent for path in paths]
    names = names_of([folder.resolve() for folder in folders])
    reports = [load_report(path) for path in paths]
    # What the reports themselves tell is checked before megabytes are read.
    require_joinable([NamedReport(name, report, {}) for name, report in zip(names, reports, strict=True)])
    named = []
    for name, report, folder in zip(names, reports, folders, strict=True):
        file = folder / PREDICTIONS_NAME
        if not file.exists():
            raise BenchError(f"{name} has no {PREDICTIONS_NAME} beside its report.json, and parity is judged from it")
        named.append(NamedReport(name, report, load_arrays(file)))
    return named


def _split(workload: Workload) -> Split:
    """Returns the workload's split of the ratings, which no report holds, from the prepared data.

    Raises:
        BenchError: the prepared ratings are others.
    """
    from movierank.datasets import load_dataset
    from movierank.splits import split_ratings

    dataset = load_dataset(workload.dataset, progress=lambda line: print(line, file=sys.stderr))
    if dataset.sha256 != workload.sha256:
        raise BenchError(
            f"the reports were measured on other ratings than this cache has as {workload.dataset} "
            f"(sha256 {workload.sha256[:12]}…, not {dataset.sha256[:12]}…); prepare theirs with "
            f"`python -m movierank prepare --dataset {workload.dataset} --refresh`, from the source they name"
        )
    return split_ratings(dataset, workload.split)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Returns the last part of each path, or as many more parts as tell them apart.

    Raises:
        BenchError: two paths are the same.
    """
    for folder, times in Counter(folders).items():
        if times > 1:
            raise BenchError(f"{folder} was given {times} times; give each report once")
    names, parts = [folder.name for folder in folders], 1
    while len(set(names)) < len(names):
        parts += 1
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
    return names
