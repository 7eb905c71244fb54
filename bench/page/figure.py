"""A figure of a page: the plot, a line on how to read it, and the same figures as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.page.charts.drawing import spec
from bench.page.tables import Table, folded, text


@dataclass(frozen=True)
class Figure:
    """One plot with all that belongs to it.

    Attributes:
        key: key by which the page finds the plot; unique on the page, and fit for an HTML id.
        title: title of the figure.
        note: sentence or two on how to read it.
        description: content in words, for those who cannot see it.
        chart: chart of Altair; None where nothing was measured.
        table: table of the same figures; None where another table of the page holds them.
        table_title: title on which a reader clicks to see the table.
        wide: whether it takes the page's full width.
    """

    key: str
    title: str
    note: str
    description: str
    chart: Any
    table: Table | None = None
    table_title: str = "The same as a table"
    wide: bool = False

    def as_html(self) -> str:
        """Return the figure; its plot is drawn by the page's script."""
        label = text(self.description)
        plot = (
            f'<div class="plot" id="{self.key}" role="img" aria-label="{label}"></div>'
            if self.chart is not None
            else "<p>Nothing was measured.</p>"
        )
        table = folded(self.table_title, self.table.as_html(self.title)) if self.table is not None else ""
        kind = ' class="wide"' if self.wide else ""
        return (
            f'<figure{kind} aria-labelledby="{self.key}-title">\n<h3 id="{self.key}-title">{text(self.title)}</h3>\n'
            f'<p class="note">{text(self.note)}</p>\n{plot}\n{table}\n</figure>'
        )


def plots_of(figures: Iterable[Figure]) -> dict[str, str]:
    """Return the plots by key as Vega-Lite in JSON, for the page's script."""
    return {
        figure.key: inert(spec(figure.chart) | {"description": figure.description})
        for figure in figures
        if figure.chart is not None
    }


def inert(data: Any) -> str:
    """Return JSON that no HTML parser can mistake for the end of the script, or for a comment."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def section(title: str, key: str, figures: Sequence[Figure]) -> str:
    """Return a section of figures; `key` is unique on the page."""
    plots = "\n".join(figure.as_html() for figure in figures)
    return f'''<section aria-labelledby="{key}">
<h2 id="{key}">{text(title)}</h2>
<div class="figures">
{plots}
</div>
</section>'''
