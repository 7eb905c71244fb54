"""A table that a narrow terminal shows as blocks of lines, one a row, before anything in it is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

FOLDED_TO_AT_LEAST = 12  # characters: a name in narrower pieces cannot be read
UNLIMITED = 10_000  # characters


class FittingTable(Table):
    """A `rich.table.Table` that never shows `…`, or nothing, where it has a figure.

    Where the terminal is too narrow for what its cells hold, each row becomes a block of lines: the columns that name
    it in bold, and below them the heading and the text of each other one.

    Attributes:
        named_by: how many of the first columns name a row; one that is blank there has the name of the row above.
    """

    def __init__(self, *headings: Column | str, named_by: int = 1, **options: Any) -> None:
        look: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False}
        super().__init__(*headings, **look | options)
        self.named_by = named_by

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or its rows as blocks."""
        for column in self.columns:
            column.min_width = max(column.min_width or 0, _least_width(column, console))
        least = Measurement.get(console, options.update(max_width=UNLIMITED), self).minimum
        yield from super().__rich_console__(console, options) if least <= options.max_width else self._blocks(console)

    def _blocks(self, console: Console) -> Iterator[RenderableType]:
        if self.title is not None:
            yield Text(_text(self.title, console).plain, style="italic")
        headings = [_in_one_line(_text(column.header, console)) for column in self.columns]
        columns = [[_text(cell, console) for cell in column.cells] for column in self.columns]
        name = [""] * self.named_by
        for row, cells in zip(self.rows, zip(*columns, strict=True), strict=True):
            name = [_in_one_line(cell) or above for cell, above in zip(cells, name, strict=False)]
            parts = (" ".join(filter(None, pair)) for pair in zip(headings, name, strict=False))
            title = Text(", ".join(parts), style="bold")
            block = Table.grid(padding=(0, 2, 0, 0))
            block.add_column(min_width=max(map(len, headings)) + 2, no_wrap=True)
            block.add_column(overflow="fold")
            for heading, cell in islice(zip(headings, cells, strict=True), self.named_by, None):
                if cell.plain.strip():
                    block.add_row(f"  {heading}", cell, style=row.style)
            if row.style is not None:
                title.stylize(row.style)
            yield title
            if block.rows:
                yield block
        if self.caption is not None:
            yield _text(self.caption, console)


def _least_width(column: Column, console: Console) -> int:
    """Return the width in characters below which a column would cut off, or split badly, a heading or cell."""
    unlimited = console.options.update(max_width=UNLIMITED)
    sizes = [Measurement.get(console, unlimited, text) for text in (column.header, *column.cells)]
    if column.no_wrap:
        return max(size.maximum for size in sizes)
    longest_word = max(size.minimum for size in sizes)
    return min(longest_word, FOLDED_TO_AT_LEAST) if column.overflow == "fold" else longest_word


def _text(shown: RenderableType, console: Console) -> Text:
    """Return a cell, heading or title as a table would read it: text of ours may have markup."""
    return shown.copy() if isinstance(shown, Text) else console.render_str(str(shown), highlight=False)


def _in_one_line(text: Text) -> str:
    """Join the lines of a heading that was broken, or hyphenated, to be narrow."""
    return text.plain.replace("-\n", "").replace("\n", " ")
