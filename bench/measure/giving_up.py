"""Which cells are not started again: those that never reached a steady round, or no longer do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.schema.cell import Cell
from bench.schema.run import Run

if TYPE_CHECKING:
    from bench.measure.plan import Side

MOST_IN_A_ROW = 2  # of a cell that was measured before: one failure may be a moment's lack of memory, two are a rule


class GivenUp:
    """Keeps account of how workers ended, and of the cells that are not worth another process."""

    def __init__(self) -> None:
        self._in_a_row: Counter[tuple[Side, Cell]] = Counter()
        self._reasons: dict[tuple[Side, Cell], str] = {}

    def note(self, side: Side, run: Run) -> None:
        """Record the end of a run; one that has rounds counts as no failure."""
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
        """Return the reason not to start a cell again; None where it may be started."""
        return self._reasons.get((side, cell))

    def anywhere(self, cell: Cell) -> bool:
        """Return whether a cell is given up on any side, so that the other side has no partner."""
        return any(cell == known for _, known in self._reasons)
