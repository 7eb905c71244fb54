"""How plots look: a colour for each backend, a shape and a dash for each loop, hollow for a device beyond the CPU."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from bench.schema.cell import Cell, short_names

# Okabe & Ito, "Color Universal Design" (2008): distinct to all kinds of colour vision, and at least 3 : 1 on white
# and on the dark page alike.
COLOURS = {"jax": "#0072b2", "torch": "#d55e00", "tensorflow": "#009e73"}
OTHER_COLOURS = ("#aa4499", "#b8860b", "#6f7d8c")
SHAPES = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [10, 4], [1, 3], [6, 2, 1, 2])
FIRST_LOOPS = ("fit", "fused", "native")  # have the same shape in every report
ALARM = "#cc3311"
PHASES = ("#4477aa", "#88ccee", "#44aa99", "#ddcc77", "#cc6677", "#aa4499", "#999933")  # Tol, "Colour schemes" (2021)
KINDS_OF_WORK = (*PHASES, "#8b929c")  # grey where nothing is done

INK = "currentColor"  # of the page that a plot stands in, light or dark
ROW = 26  # px a row of a plot with one row a cell
SHOWN = "indexof(shown, datum.cell) >= 0"
BOTH_SHOWN = f"{SHOWN} && (indexof(shown, datum.other) >= 0 || indexof(cells, datum.other) < 0)"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # allowed neither in XML nor in HTML
LONGEST_NAME = 48  # characters of a name beside a plot

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Look:
    """What all plots of a page share.

    Attributes:
        cells: cells of all plots, in the order of rows.
        names: short name of each cell, by its full name.
        width: width of a plot in px; None for the width of the element that holds it.
        legend: whether plots name their colours and shapes themselves; a page has its filters for that.
    """

    cells: tuple[Cell, ...]
    names: Mapping[str, str]
    width: int | None = None
    legend: bool = False

    def fields(self, cell: Cell) -> dict[str, Any]:
        """Return the fields of a cell that every row of data has."""
        name = str(cell)
        return {
            "cell": name,
            "name": plain(self.names.get(name, name)),
            "backend": plain(cell.backend),
            "device": plain(cell.device),
            "loop": plain(cell.loop),
            "filled": int(cell.device == "cpu"),
        }

    def order(self) -> list[str]:
        """Return the names of rows from top to bottom."""
        return [plain(self.names.get(str(cell), str(cell))) for cell in self.cells]

    def colour(self) -> alt.Color:
        """Return the colour of a backend."""
        legend = alt.Legend(orient="top") if self.legend else None
        return alt.Color("backend:N", title="Backend", scale=self._colour_scale(), legend=legend)

    def fill(self) -> alt.Fill:
        """Return the colour of a backend for the inside of a shape."""
        return alt.Fill("backend:N", scale=self._colour_scale(), legend=None)

    def colours(self) -> dict[str, str]:
        """Return each backend's colour."""
        backends = dict.fromkeys(plain(cell.backend) for cell in self.cells)
        others = [name for name in backends if name not in COLOURS]
        return {name: COLOURS.get(name) or OTHER_COLOURS[others.index(name) % len(OTHER_COLOURS)] for name in backends}

    def shapes(self) -> dict[str, str]:
        """Return each loop's shape."""
        return {loop: SHAPES[place % len(SHAPES)] for place, loop in enumerate(self._loops())}

    def shape(self) -> alt.Shape:
        """Return the shape of a loop."""
        used = list(dict.fromkeys(plain(cell.loop) for cell in self.cells))
        return alt.Shape(
            "loop:N",
            title="Loop",
            scale=alt.Scale(domain=list(self.shapes()), range=list(self.shapes().values())),
            legend=alt.Legend(orient="top", values=used) if self.legend and len(used) > 1 else None,
        )

    def dash(self) -> alt.StrokeDash:
        """Return how the line of a loop is broken."""
        loops = self._loops()
        dashes = [DASHES[place % len(DASHES)] for place in range(len(loops))]
        return alt.StrokeDash("loop:N", scale=alt.Scale(domain=loops, range=dashes), legend=None)

    def filled(self) -> alt.FillOpacity:
        """Return the filling of a device: none beyond the CPU."""
        return alt.FillOpacity("filled:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.75]), legend=None)

    def _colour_scale(self) -> alt.Scale:
        return alt.Scale(domain=list(self.colours()), range=list(self.colours().values()))

    def _loops(self) -> list[str]:
        # In one order everywhere, so that a loop has the same shape on every page; what has no loop is last.
        used = dict.fromkeys(plain(cell.loop) for cell in self.cells)
        return [*FIRST_LOOPS, *sorted((loop for loop in used if loop not in FIRST_LOOPS), reverse=True)]


def look_of(cells: Iterable[Cell], *, width: int | None = None, legend: bool = False) -> Look:
    """Return the look of plots of these cells, rows in their order."""
    unique = tuple(dict.fromkeys(cells))
    return Look(cells=unique, names=short_names(unique), width=width, legend=legend)


def plain(text: str) -> str:
    """Return a name without control characters, cut to the length that a plot has room for."""
    clean = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"


def layer(rows: Rows, filtered: str | None = SHOWN) -> Any:
    """Return a chart of some data that draws only the rows that `filtered` lets through."""
    chart = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    return chart if filtered is None else chart.transform_filter(filtered)


def finished(chart: Any, look: Look, *, height: int | None = None) -> Any:
    """Return the chart with its size and with the cells that the page's filters have chosen, all at first."""
    names = [str(cell) for cell in look.cells]
    params = [alt.param(name="shown", value=names), alt.param(name="cells", value=names)]
    return chart.add_params(*params).properties(width=look.width or "container", height=height or alt.Step(ROW))


def nothing(look: Look) -> Any:
    """Return the plot that says that nothing was measured."""
    return finished(alt.Chart(alt.InlineData(values=[{}])).mark_text(text="nothing was measured"), look, height=ROW)


def rows_axis(look: Look) -> alt.Y:
    """Return an axis with a row for each cell."""
    return alt.Y("name:N", sort=look.order(), title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))


def tip(field: str, title: str, form: str | None = None) -> alt.Tooltip:
    """Return a line of the text on hovering."""
    return alt.Tooltip(f"{field}:{'Q' if form else 'N'}", title=title, **({"format": form} if form else {}))


def config(ink: str = INK, font: str = "system-ui, sans-serif") -> dict[str, Any]:
    """Return the theme of all plots: nothing but data, axes and thin lines, in the colour of the text around."""
    text = {"labelColor": ink, "titleColor": ink, "labelFont": font, "titleFont": font}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    lines = {"domainColor": ink, "tickColor": ink, "gridColor": ink}
    faint = {"domainOpacity": 0.4, "tickOpacity": 0.4, "gridOpacity": 0.14}
    return {
        "background": None,
        "view": {"stroke": None},
        "axis": {**text, **sizes, **lines, **faint, "labelLimit": 220, "labelOverlap": "greedy", "titlePadding": 8},
        "legend": {**text, **sizes, "symbolSize": 70, "labelLimit": 200},
        "title": {"color": ink, "font": font, "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "text": {"color": ink, "font": font, "fontSize": 12},
        "rule": {"color": ink},
        "tick": {"color": ink},
    }
