"""Plots over several reports: side by side, and in order of time with the points where a step time changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import altair as alt

from bench.comparison.history import Point, Series
from bench.page.charts.intervals import ends_in_words, ends_within
from bench.page.charts.look import INK, Look, finished, layer, plain, tip
from bench.report.names import short_names
from bench.report.view import View
from bench.schema.cell import cell_named
from bench.statistics.change_points import FEWEST_REPORTS

MOST_DATES = 10  # on one axis
ROW = 20  # px


def side_by_side_chart(views: Sequence[View], look: Look) -> Any:
    """Return the step time of each cell in each report, reports of one cell below one another."""
    data, order = [], []
    short = short_names(view.name for view in views)
    for cell in look.cells:
        for view in views:
            for row in (row for row in view.summary.step_time if row.cell == cell):
                fields = look.fields(cell)
                label = f"{fields['name']} · {plain(short[view.name])}"
                order.append(label)
                shown = {"label": label, "report": plain(view.name), "interval": ends_in_words(row.ci95_ms)}
                data.append({**fields, **shown, "value": row.median_ms, **ends_within(row.median_ms, row.ci95_ms)})
    base = layer(data).encode(
        y=alt.Y("label:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)),
        color=look.colour(),
        tooltip=[tip("name", "Cell"), tip("report", "Report"), tip("value", "ms/step", ".3~g"),
                 tip("interval", "95 % interval")],
    )  # fmt: skip
    axis = alt.Axis(title="step time, ms", tickCount=6)
    bars = base.transform_filter("isValid(datum.low)").mark_bar(height=10, opacity=0.3, cornerRadius=2)
    points = base.mark_point(size=48, strokeWidth=1.2)
    return finished(
        alt.layer(
            bars.encode(x=alt.X("low:Q", axis=axis), x2="high:Q"),
            points.encode(
                x=alt.X("value:Q", axis=axis), shape=look.shape(), fill=look.fill(), fillOpacity=look.filled()
            ),
        ),
        look,
        height=ROW * max(1, len(data)),
    )


def trend_chart(series: Sequence[Series], look: Look) -> Any:
    """Return step times in order of time: a dot a report, its interval, the level between changes as a line.

    Args:
        series: series of reports that compare; a report has one place in time for all of them.
        look: look of the page.
    """
    times = sorted({(point.created, point.report) for each in series for point in each.points}, key=_age)
    place = {when: index for index, when in enumerate(times)}
    step = min(0.06, 0.5 / len(series))  # so that cells with like step times do not hide one another
    dots, lines, changes = [], [], []
    for number, each in enumerate(series):
        fields = look.fields(cell_named(each.cell))
        aside = step * (number - (len(series) - 1) / 2)
        at = [place[point.created, point.report] + aside for point in each.points]
        dots += [{**fields, **_dot(point), "at": x} for x, point in zip(at, each.points, strict=True)]
        starts = [0, *(index for index, point in enumerate(each.points) if point.change is not None), len(at)]
        # Few reports show no change, and a level through all of them would say that there is none.
        for start, stop in pairwise(starts) if len(at) >= FEWEST_REPORTS else ():
            level = {"value": each.points[start].level_ms, "from": at[start] - 0.35, "to": at[stop - 1] + 0.35}
            lines.append({**fields, **level, "id": f"{each.cell} {start}"})
        changes += [
            {**fields, "at": x - 0.5, "text": f"× {point.change:.3g}", "value": point.step_time.median_ms,
             "versions": ", ".join(point.changes) or "nothing else known"}
            for x, point in zip(at, each.points, strict=True)
            if point.change is not None
        ]  # fmt: skip
    return finished(alt.layer(*_parts(dots, lines, changes, times, look)), look, height=280)


def in_words(series: Series) -> str:
    """Return the plot of one cell in words."""
    changes = [f"× {point.change:.3g} on {point.created}" for point in series.points if point.change is not None]
    first, last = (series.points[place].step_time.median_ms for place in (0, -1))
    return (
        f"Step time of {series.cell} in {len(series.points)} reports, from {first:.3g} to {last:.3g} ms; "
        f"changes: {', '.join(changes) or 'none'}."
    )


def _age(when: tuple[str, str]) -> tuple[float, str]:
    return datetime.fromisoformat(when[0]).timestamp(), when[1]


def _dot(point: Point) -> dict[str, Any]:
    row = point.step_time
    return {
        "value": row.median_ms,
        **ends_within(row.median_ms, row.ci95_ms),
        "interval": ends_in_words(row.ci95_ms),
        "report": plain(point.name),
        "created": f"{datetime.fromisoformat(point.created):%Y-%m-%d %H:%M}",
        "versions": plain("; ".join(point.changes)) or "none",
    }


def _parts(
    dots: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    changes: list[dict[str, Any]],
    times: Sequence[tuple[str, str]],
    look: Look,
) -> list[Any]:
    every = -(-len(times) // MOST_DATES)
    dates = [f"{datetime.fromisoformat(created):%Y-%m-%d}" for created, _ in times]
    axis = alt.Axis(title="reports in order of time", values=list(range(0, len(times), every)), grid=False,
                    labelExpr=f"{dates}[datum.value]", labelAngle=-40, labelOverlap=False)  # fmt: skip
    scale = alt.Scale(domain=[-0.6, max(len(times), 2) - 0.4], nice=False)
    y_axis = alt.Axis(title="step time, ms", tickCount=6)

    def x(name: str) -> alt.X:
        return alt.X(f"{name}:Q", scale=scale, axis=axis)

    hover = [tip("name", "Cell"), tip("report", "Report"), tip("created", "Measured"), tip("value", "ms/step", ".3~g"),
             tip("interval", "95 % interval"), tip("versions", "Changed before it")]  # fmt: skip
    of_change = [tip("name", "Cell"), tip("text", "A step takes, times as long"), tip("versions", "Changed with it")]
    base = layer(dots)
    parts = [
        base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=6, opacity=0.25).encode(
            x=x("at"), y=alt.Y("low:Q", axis=y_axis), y2="high:Q", color=look.colour(), tooltip=hover),
        layer(lines).mark_rule(strokeWidth=1.5).encode(
            x=x("from"), x2="to:Q", y=alt.Y("value:Q", axis=y_axis), color=look.colour(), strokeDash=look.dash()),
        base.mark_point(size=42, strokeWidth=1.2).encode(
            x=x("at"), y=alt.Y("value:Q", axis=y_axis), color=look.colour(), shape=look.shape(), fill=look.fill(),
            fillOpacity=look.filled(), tooltip=hover),
    ]  # fmt: skip
    if changes:
        marks = layer(changes)
        parts += [
            marks.mark_rule(strokeDash=[4, 3], opacity=0.7).encode(x=x("at"), tooltip=of_change),
            marks.mark_text(align="left", dx=4, dy=-14, color=INK).encode(
                x=x("at"), y=alt.Y("value:Q", axis=y_axis), text="text:N", tooltip=of_change
            ),
        ]
    return parts
