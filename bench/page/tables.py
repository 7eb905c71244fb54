"""Tables of a page. A row knows the cells that it is about, so that the page's filters can leave it out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.schema.cell import Cell
from bench.text.numbers import Interval

MARKS = {"outside": "bad", "failed": "bad", "killed": "bad", "timeout": "bad", "NOT FOUND": "bad", "within": "good"}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # not allowed in HTML
NUMBER = re.compile(r"–|[+-]?[\d.,]+(e[+-]\d+)?( \[[^\]]*\])?|\[[^\]]*\]")


Row = tuple[Sequence[object], Sequence[str]]


@dataclass(frozen=True)
class Table:
    """A table as HTML will show it.

    Attributes:
        header: names of the columns, with units.
        rows: values of each row, and the names of the cells that it is about.
    """

    header: Sequence[str]
    rows: Sequence[Row]

    def _values(self) -> list[Sequence[object]]:
        return [values for values, _ in self.rows]

    def as_html(self, caption: str) -> str:
        """Return the table in a frame that scrolls where the screen is narrow, also with the keyboard."""
        if not self.rows:
            return "<p>Nothing was measured.</p>"
        numbers = [
            all(NUMBER.fullmatch(str(value)) for value in column) for column in zip(*self._values(), strict=True)
        ]
        head = "".join(
            f'<th scope="col"{_kind(number)}>{text(name)}</th>'
            for name, number in zip(self.header, numbers, strict=True)
        )
        body = "\n".join(_row(values, cells, numbers) for values, cells in self.rows)
        label = html.escape(caption, quote=True)
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
            f'<caption class="unseen">{text(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )


def _kind(number: bool) -> str:
    return ' class="number"' if number else ""


def _row(values: Sequence[object], cells: Sequence[str], numbers: Sequence[bool]) -> str:
    about = f" data-cells='{html.escape(json.dumps(list(cells)), quote=True)}'" if cells else ""
    first, *others = values
    data = "".join(map(_data, others, numbers[1:]))
    return f'<tr{about}><th scope="row">{text(first)}</th>{data}</tr>'


def _data(value: object, number: bool) -> str:
    mark = MARKS.get(str(value))
    return f'<td class="{mark}">{text(value)}</td>' if mark else f"<td{_kind(number)}>{text(value)}</td>"


def facts(values: Mapping[str, object]) -> Table:
    """Return a table of keys and values; a mapping or list takes a line for each of its values."""
    rows: list[tuple[str, object]] = []
    for name_, value in values.items():
        key = name_.replace("_", " ")
        if isinstance(value, Mapping):
            rows += [(f"{key}: {name}", inner) for name, inner in value.items()] or [(key, "none")]
        elif isinstance(value, list):
            parts = [", ".join(map(str, item.values())) if isinstance(item, Mapping) else str(item) for item in value]
            rows.append((key, "; ".join(parts) or "none"))
        else:
            rows.append((key, "unknown" if value is None else f"{value:.6g}" if isinstance(value, float) else value))
    return Table(("What", "Value"), [(row, ()) for row in rows])


def folded(title: str, body: str, *, open_: bool = False) -> str:
    """Return a section that opens on a click or with the keyboard."""
    return f"<details{' open' if open_ else ''}><summary>{text(title)}</summary>\n{body}\n</details>"


def text(value: object) -> str:
    """Return the value as text fit for HTML, with a mark for each character that is not allowed there."""
    return html.escape(CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def cell_name(cell: Cell, names: Mapping[str, str]) -> str:
    """Return the name of a cell on this page."""
    return names.get(str(cell), str(cell))


def cell_row(names: Mapping[str, str], cell: Cell, *values: object) -> Row:
    """Return a row of one cell: its name, then `values`."""
    return (cell_name(cell, names), *values), [str(cell)]


def decimals(value: float | None, digits: int) -> str:
    """Return a number with so many digits behind the point, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def ends(interval: Interval | None, form: str) -> str:
    """Return `[0.1, 0.2]`, or a dash where there is none."""
    return "–" if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def small(value: float | None) -> str:
    """Return a distance in two digits."""
    return "not finite" if value is None else f"{value:.2g}"
