"""Step times over reports as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from bench.comparison.changes import first_changes
from bench.comparison.history import Group, Point, Series
from bench.report.scores import SHOWN
from bench.statistics.change_points import FEWEST_REPORTS
from bench.text.numbers import with_interval
from bench.text.table import FittingTable


def render(groups: Sequence[Group]) -> RenderableType:
    """Return a table for each group of comparable reports and each cell, ready for `Console.print`.

    Names from the reports are shown as they are: nothing in them is read as markup.
    """
    parts: list[RenderableType] = []
    for group in groups:
        parts.append(Text(group.title, style="bold"))
        for series in group.series:
            title = f"\n{series.cell}: step time in ms with 95 % interval, and test {_score_label(series)}"
            parts += [Text(title), _table(series)]
            parts += [Text(line) for line in (*_what_else_changed(series), *_changes(series))]
        parts.append(Text())
    return Lines(*parts[:-1])


def _table(series: Series) -> FittingTable:
    table = FittingTable()
    table.add_column("measured", no_wrap=True)
    table.add_column("report", overflow="fold")
    for name in ("ms/step", _score_label(series)):
        table.add_column(name, justify="right", no_wrap=True)
    marked = any(point.change is not None for point in series.points)
    if marked:
        table.add_column("change", no_wrap=True)
    for point in series.points:
        row = point.step_time
        table.add_row(
            Text(f"{datetime.fromisoformat(point.created):%Y-%m-%d %H:%M}"),
            Text(point.name),
            with_interval(row.median_ms, row.ci95_ms),
            "–" if (score := point.rmse or point.metric) is None else f"{score.mean:.4f}",
            *(["" if point.change is None else f"× {point.change:.3f}"] if marked else []),
            style=_style(point),
        )
    return table


def _score_label(series: Series) -> str:
    named = [point.metric.metric for point in series.points if point.metric is not None]
    return SHOWN.get(named[0], named[0]) if named else "RMSE"


def _style(point: Point) -> str:
    if point.change is None:
        return ""
    return "red" if point.change > 1 else "green"


def _what_else_changed(series: Series) -> list[str]:
    """Return what else changed, for below the table: in a column a kernel's name would take ten lines."""
    return [
        f"Changed before {point.name}: {', '.join(first_changes(point.changes))}"
        for point in series.points
        if point.changes and point.change is None  # the others stand beside the change of step time
    ]


def _changes(series: Series) -> list[str]:
    found = [point for point in series.points if point.change is not None]
    if len(series.points) < FEWEST_REPORTS:
        return [f"With fewer than {FEWEST_REPORTS} reports no change can be detected."]
    if not found:
        return [f"No change is seen in {len(series.points)} reports."]
    return [
        f"From {point.name} on a step takes {point.change:.3f} × as long"
        + (f"; with it changed: {', '.join(first_changes(point.changes))}." if point.changes else ".")
        for point in found
    ]
