"""Plots with one row a cell: an interval as a bar, what it rests on as dots, the estimate as a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from bench.page.charts.look import INK, Look, finished, layer, nothing, rows_axis, tip
from bench.schema.cell import Cell
from bench.text.numbers import Interval

LOG_FROM = 20.0  # largest over smallest value from which a linear axis hides the small ones
WIDEST = 3.0  # times the estimate: an interval from two processes may span decades and would squeeze all else
GOLDEN = 0.618  # its multiples spread evenly over a row
NARROW_ROWS = 12  # of more, rows are lower


@dataclass(frozen=True)
class Row:
    """One cell of such a plot.

    Attributes:
        cell: cell of the row.
        value: estimate; None where only dots are drawn.
        ci95: interval of the estimate.
        dots: samples that it rests on, each a value and a name such as `process 3, seed 0`.
        note: further text on hovering.
    """

    cell: Cell
    value: float | None
    ci95: Interval | None
    dots: Sequence[tuple[float, str]] = field(default=())
    note: str = ""


@dataclass(frozen=True)
class Band:
    """Where a reference lies.

    Attributes:
        value: value that is drawn as a line down all rows.
        ends: ends of a band around it; None for only the line.
        name: name that hovering shows.
    """

    value: float
    ends: Interval | None
    name: str


def rows_chart(
    rows: Sequence[Row],
    look: Look,
    *,
    title: str,
    unit: str,
    form: str = ".3~g",
    zero: bool = True,
    log: bool | None = None,
    band: Band | None = None,
    note: str | None = None,
) -> Any:
    """Return the plot of rows of cells.

    Args:
        rows: rows in any order; `look` orders them.
        look: look of the page.
        title: title of the axis, with its unit.
        unit: name of a value on hovering.
        form: format of values on hovering, as d3-format.
        zero: whether the axis begins at 0.
        log: whether it is logarithmic; None for where the values ask for it.
        band: reference to draw.
        note: heading of each row's `note` on hovering; None for none.
    """
    if not rows:
        return nothing(look)
    values = [value for row in rows for value in (row.value, *(dot for dot, _ in row.dots)) if value is not None]
    if log is None:
        log = bool(values) and min(values) > 0 and max(values) / min(values) > LOG_FROM
    scale = alt.Scale(type="log", nice=False, padding=12) if log else alt.Scale(zero=zero, nice=False, padding=12)
    axis = alt.Axis(title=f"{title}{', log scale' if log else ''}", tickCount=6)

    def x(name: str) -> alt.X:
        return alt.X(f"{name}:Q", scale=scale, axis=axis)

    parts = [*_band(band), *_intervals(rows, look, x, unit, form, note), *_dots(rows, look, x, unit, form)]
    return finished(alt.layer(*parts), look, height=None if len(rows) <= NARROW_ROWS else 20 * len(rows))


def _band(band: Band | None) -> list[Any]:
    if band is None:
        return []
    ends = band.ends or (band.value, band.value)
    base = layer([{"value": band.value, "low": ends[0], "high": ends[1], "what": band.name}], filtered=None)
    hover = [tip("what", "Reference"), tip("value", "Mean", ".5~g")]
    if band.ends is not None:
        hover += [tip("low", "from", ".5~g"), tip("high", "to", ".5~g")]
    line = base.mark_rule(strokeDash=[4, 3], opacity=0.7).encode(x="value:Q", tooltip=hover)
    if band.ends is None:
        return [line]
    return [base.mark_rect(opacity=0.1, color=INK).encode(x=alt.X("low:Q"), x2="high:Q", tooltip=hover), line]


def _intervals(
    rows: Sequence[Row], look: Look, x: Callable[[str], alt.X], unit: str, form: str, note: str | None
) -> list[Any]:
    data = [
        {
            **look.fields(row.cell),
            "value": row.value,
            **ends_within(row.value, row.ci95),
            "interval": ends_in_words(row.ci95),
            **({} if note is None else {"note": row.note}),
        }
        for row in rows
        if row.value is not None
    ]
    if not data:
        return []
    hover = [tip("name", "Cell"), tip("value", unit, form), tip("interval", "95 % interval")]
    hover += [] if note is None else [tip("note", note)]
    base = layer(data)
    bars = base.transform_filter("isValid(datum.low)").mark_bar(height=12, opacity=0.3, cornerRadius=2)
    ticks = base.mark_tick(thickness=3, height=18, opacity=1)
    return [
        bars.encode(x=x("low"), x2="high:Q", y=rows_axis(look), color=look.colour(), tooltip=hover),
        ticks.encode(x=x("value"), y=rows_axis(look), color=look.colour(), tooltip=hover),
    ]


def ends_within(value: float, ci95: Interval | None) -> dict[str, Any]:
    """Return the ends of an interval as they are drawn: no further than `WIDEST` times from the estimate."""
    if ci95 is None:
        return {"low": None, "high": None}
    within = (max(ci95[0], value / WIDEST), min(ci95[1], value * WIDEST)) if value > 0 else ci95
    return {"low": within[0], "high": within[1]}


def ends_in_words(ci95: Interval | None) -> str:
    """Return an interval in words, for hovering."""
    return "none: it takes two processes" if ci95 is None else f"{ci95[0]:.4g} to {ci95[1]:.4g}"


def _dots(rows: Sequence[Row], look: Look, x: Callable[[str], alt.X], unit: str, form: str) -> list[Any]:
    data = [
        {**look.fields(row.cell), "value": value, "what": what, "place": (0.5 + index * GOLDEN) % 1}
        for row in rows
        for index, (value, what) in enumerate(row.dots)
    ]
    if not data:
        return []
    dots = layer(data).mark_point(size=42, strokeWidth=1.2, filled=False)
    spread = alt.YOffset("place:Q", scale=alt.Scale(domain=[-0.4, 1.4]))
    return [
        dots.encode(
            x=x("value"),
            y=rows_axis(look),
            yOffset=spread,
            color=look.colour(),
            fill=look.fill(),
            fillOpacity=look.filled(),
            shape=look.shape(),
            tooltip=[tip("name", "Cell"), tip("what", "Of"), tip("value", unit, form)],
        )
    ]
