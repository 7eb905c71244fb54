"""Which cells are not started again: those that never got to a steady round, or of late no longer do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.schema.cell import Cell
from bench.schema.run import Run

if TYPE_CHECKING:
    from bench.measure.plan import Side

MOST_IN_A_ROW = 2  # of a cell that was measured before: one may have met a moment's lack of memory, two tell the rule


class GivenUp:
    """Takes note of how workers ended, and of the cells of which no further one is worth its time."""

    def __init__(self) -> None:
        self._in_a_row: Counter[tuple[Side, Cell]] = Counter()
        self._reasons: dict[tuple[Side, Cell], str] = {}

    def note(self, side: Side, run: Run) -> None:
        """Takes note of a run that has ended; one that was lost during its rounds was none in vain."""
        seat = side, run.cell
        if run.step_time_ms:
            del self._in_a_row[seat]
            return
        self._in_a_row[seat] += 1
        measured = any(known.cell == run.cell and known.step_time_ms for known in side.recorder.runs)
        if measured and self._in_a_row[seat] < MOST_IN_A_ROW:
            return
        before = ", nor did the one before it" if measured else ""
        failed = f"not started, since process {run.process} never got to a steady round ({run.status}){before}"
        self._reasons[seat] = (run.error or "") if run.status == "skipped" else failed

    def reason(self, side: Side, cell: Cell) -> str | None:
        """Returns why a cell is not started again; None where it is."""
        return self._reasons.get((side, cell))

    def anywhere(self, cell: Cell) -> bool:
        """Returns whether a cell is given up on any side, so that of two sides the other has no partner."""
        return any(cell == known for _, known in self._reasons)
