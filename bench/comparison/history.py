"""Reports in order of time: how a cell's step time and RMSE went, and where they changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.comparison.changes import changes_between
from bench.errors import BenchError
from bench.report.comparable import machine_key, workload_key
from bench.report.file import REPORT_NAME, load_report
from bench.report.names import short_names
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.derived import MetricMean, Rmse, StepTime
from bench.schema.record import Record
from bench.statistics.change_points import levels

DEEPEST = 4  # folders below the one that was given


class Point(Record, frozen=True, kw_only=True):
    """One report's figures for one cell.

    Attributes:
        created: start of the measurement, ISO 8601.
        report: path of its folder.
        name: shortest end of that path that no other report has.
        changes: differences from the point before (`bench.comparison.changes`), such as `keras 3.15.1 -> 3.16.0`.
        step_time: step time in ms.
        rmse: RMSE of the test part; None where it was not measured.
        metric: mean of a custom workload's metric, in place of `rmse`.
        change: where the step time changes with this report: times as long that a step takes from here on as since
            the change before; None otherwise.
        level_ms: the typical step time between the changes around this report.
    """

    created: str
    report: str
    name: str
    changes: list[str]
    step_time: StepTime
    rmse: Rmse | None
    change: float | None
    level_ms: float
    metric: MetricMean | None = None


class Series(Record, frozen=True, kw_only=True):
    """One cell over all comparable reports, in order of time."""

    cell: str
    points: list[Point]


class Group(Record, frozen=True, kw_only=True):
    """Reports whose step times compare: of one workload, machine and number of threads.

    Attributes:
        facts: workload and machine of the group.
        title: what distinguishes it from other groups, in words.
        series: one series for each cell that has a step time in any of them.
    """

    facts: dict[str, Any]
    title: str
    series: list[Series]


def collect(
    folders: Sequence[Path], *, cell: str | None = None, broken: Callable[[str], None] = lambda line: None
) -> list[Group]:
    """Read all reports below some folders and group comparable ones, each group in order of time.

    Args:
        folders: folders that hold reports; also a report's own folder or file.
        cell: cell to show, as `backend/device/loop`; None for all.
        broken: called with a line for each report that cannot be used.

    Raises:
        BenchError: there is no report that can be used, or no step time of the cell.
    """
    usable = []
    for path in dict.fromkeys(path.resolve() for folder in folders for path in _find(folder)):
        try:
            view = View(load_report(path), str(path.parent if path.name == REPORT_NAME else path), path)
            _ = view.started, view.summary
            usable.append(view)
        except BenchError as error:
            broken(f"skipped: {error}")
    if not usable:
        raise BenchError(f"no report to be used below {', '.join(map(str, folders))}; `python -m bench run` makes one")
    found = group_reports(usable, cell)
    if not found:
        there = ", ".join(sorted({str(each) for view in usable for each in view.medians}))
        raise BenchError(f"no report has a step time{f' of {cell}; there are {there}' if cell and there else ''}")
    return found


def group_reports(reports: Sequence[View], cell: str | None = None) -> list[Group]:
    """Group comparable reports, each group in order of time.

    Args:
        reports: reports, each named by its place.
        cell: cell to show, as `backend/device/loop`; None for all.

    Raises:
        BenchError: a report has no date, or an impossible step time.
    """
    groups: dict[str, list[View]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for view in reports:
        of_report = workload_key(view.report) | machine_key(view.report)
        key = msgspec.json.encode(of_report).decode()
        groups.setdefault(key, []).append(view)
        facts[key] = of_report
    titles, names = _titles(facts), short_names(view.name for view in reports)
    found = [
        Group(
            facts=facts[key],
            title=titles[key],
            series=_series(sorted(of_group, key=lambda view: (view.started, view.name)), cell, names),
        )
        for key, of_group in groups.items()
    ]
    return [group for group in found if group.series]


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Return plain dicts, lists and numbers for `history --json`."""
    return {"groups": msgspec.to_builtins(groups)}


def _find(folder: Path) -> Iterator[Path]:
    """Yield reports in `folder` and below it, nearest first; hidden folders and links to folders are left out."""
    if folder.is_file():
        yield folder
        return
    if not folder.is_dir():
        raise BenchError(f"there is no {folder}; give a folder with reports")
    for name, below, files in os.walk(folder):
        here = Path(name)
        below[:] = sorted(each for each in below if not each.startswith("."))
        if len(here.relative_to(folder).parts) >= DEEPEST:
            below.clear()
        if REPORT_NAME in files:
            yield here / REPORT_NAME


def _titles(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return a title for each group: its main facts, and all others in which groups differ."""
    names = {name: {str(each[name]) for each in facts.values()} for name in next(iter(facts.values()))}
    shown = {"dataset", "batch_size", "cpu_model", "usable_cores", "threads", "gpus"}
    shown |= {name for name, values in names.items() if len(values) > 1}
    return {
        key: ", ".join(f"{name} {str(each[name])[:40]}" for name in names if name in shown)
        for key, each in facts.items()
    }


def _series(reports: Sequence[View], wanted: str | None, names: Mapping[str, str]) -> list[Series]:
    cells = sorted({cell for view in reports for cell in view.medians})
    return [
        Series(cell=str(cell), points=_points([view for view in reports if cell in view.medians], cell, names))
        for cell in cells
        if wanted is None or str(cell) == wanted
    ]


def _points(reports: Sequence[View], cell: Cell, names: Mapping[str, str]) -> list[Point]:
    found = levels([list(view.medians[cell].values()) for view in reports])
    level_of = [level for level in found for _ in range(level.start, level.stop)]
    changes = {level.start: level.ms / before.ms for before, level in pairwise(found)}
    points = []
    for index, view in enumerate(reports):
        before = reports[index - 1] if index else view
        custom = view.report.workload.workload is not None
        points.append(
            Point(
                created=view.report.created,
                report=view.name,
                name=names[view.name],
                changes=changes_between(before.report, view.report),
                step_time=next(row for row in view.summary.step_time if row.cell == cell),
                rmse=next((row for row in view.summary.scores if row.cell == cell and not custom), None),
                change=changes.get(index),
                level_ms=level_of[index].ms,
                metric=next((row for row in view.report.metrics if row.cell == cell), None),
            )
        )
    return points
