"""Reports from disk, judged together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.report.names import names_of

if TYPE_CHECKING:
    from bench.parity.join import JoinedParity
    from bench.report.predictions import NamedReport
    from bench.schema.run import Workload
    from movierank.data.splits import Split


def joined_of(paths: Sequence[Path]) -> JoinedParity:
    """Judge the reports at these paths together; those of the built-in workload by the prepared ratings.

    Raises:
        BenchError: they cannot be read or joined, or the ratings are others.
    """
    from bench.parity.join import join

    reports = _load(paths)
    workload = reports[0].report.workload
    return join(reports, _split(workload) if workload.workload is None else None)


def _load(paths: Sequence[Path]) -> list[NamedReport]:
    from bench.parity.joinable import require_joinable
    from bench.report.file import PREDICTIONS_NAME, load_report, report_path
    from bench.report.predictions import NamedReport, load_arrays

    folders = [report_path(path).absolute().parent for path in paths]
    names = names_of([folder.resolve() for folder in folders])
    reports = [load_report(path) for path in paths]
    # What the reports themselves say is checked before megabytes are read.
    require_joinable([NamedReport(name, report, {}) for name, report in zip(names, reports, strict=True)])
    named = []
    for name, report, folder in zip(names, reports, folders, strict=True):
        file = folder / PREDICTIONS_NAME
        if not file.exists():
            raise BenchError(f"{name} has no {PREDICTIONS_NAME} beside its report.json, and parity is judged from it")
        named.append(NamedReport(name, report, load_arrays(file)))
    return named


def _split(workload: Workload) -> Split:
    """Return the workload's split of the ratings, which no report holds, from the prepared data.

    Raises:
        BenchError: the prepared ratings are others.
    """
    from movierank.data.datasets import load_dataset
    from movierank.data.splits import split_ratings

    dataset = load_dataset(workload.dataset, progress=lambda line: print(line, file=sys.stderr))
    if dataset.sha256 != workload.sha256:
        raise BenchError(
            f"the reports were measured on other ratings than this cache has as {workload.dataset} "
            f"(sha256 {workload.sha256[:12]}…, not {dataset.sha256[:12]}…); prepare theirs with "
            f"`python -m movierank prepare --dataset {workload.dataset} --refresh`, from the source they name"
        )
    return split_ratings(dataset, workload.split)
