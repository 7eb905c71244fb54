"""A table that a narrow terminal shows as blocks of lines, one a row, before anything in it is cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

FOLDED_TO_AT_LEAST = 12  # characters: a name in narrower pieces cannot be read


class FittingTable(Table):
    """A `rich.table.Table` that never shows `…`, or nothing, where it has a figure.

    Where the terminal is too narrow for what its cells hold, each row becomes a block of lines: the columns that name
    it in bold, and below them the heading and the text of each other one.

    Attributes:
        named_by: how many of the first columns name a row; one that is blank there has the name of the row above.
    """

    named_by: int = 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the table, or its rows as blocks."""
        for column in self.columns:
            if column.overflow == "fold":
                longest = max((Measurement.get(console, options, cell).minimum for cell in column.cells), default=0)
                column.min_width = min(longest, FOLDED_TO_AT_LEAST)
        segments = list(self._segments(console, options))
        if self._all_is_in(segments, console, options):
            yield from segments
        else:
            yield from self._blocks(console)

    def _segments(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Segment):
                yield part
            else:
                yield from console.render(part, options)

    def _all_is_in(self, segments: list[Segment], console: Console, options: ConsoleOptions) -> bool:
        """Returns whether each character of headings and cells is in what would be shown."""
        lines = Segment.split_and_crop_lines(segments, options.max_width, pad=False, include_new_lines=False)
        shown = Counter(character for line in lines for segment in line for character in segment.text)
        wanted = Counter(character for text in self._texts(console) for character in "".join(text.plain.split()))
        return wanted <= shown

    def _texts(self, console: Console) -> Iterator[Text]:
        for around in (self.title, self.caption):
            if around is not None:
                yield _text(around, console)
        for column in self.columns:
            yield _text(column.header, console)
            for cell in column.cells:
                yield _text(cell, console)

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


def _text(shown: RenderableType, console: Console) -> Text:
    """Returns a cell, heading or title as a table would read it: text of ours may have markup."""
    return shown.copy() if isinstance(shown, Text) else console.render_str(str(shown), highlight=False)


def _in_one_line(text: Text) -> str:
    """Joins the lines of a heading that was broken, or hyphenated, to be narrow."""
    return text.plain.replace("-\n", "").replace("\n", " ")
