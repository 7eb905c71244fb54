"""How long a measurement will still take, from what its parts have taken so far."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping

from bench.protocol import Command, Job, MeasureRound, Stop, Train, WarmUp
from bench.recorder import Recorder
from bench.report import Cell, Settings

Kind = type[Command]


class TimeLeft:
    """Adds up what is still to be asked of the workers of each cell, each at what it has taken that cell so far.

    Args:
        settings: what each process is asked for.
        seats: the cells by name, and where their runs are kept; what was measured before is not measured again.
    """

    def __init__(self, settings: Settings, seats: Mapping[str, tuple[Recorder, Cell]]) -> None:
        self._plan: Counter[Kind] = Counter({Job: 1, WarmUp: 1, MeasureRound: settings.rounds, Stop: 1})
        if settings.trains:
            self._plan[Train] = 1
        self._known = not settings.adaptive
        self._asked = {(seat, process): Counter[Kind]() for seat in seats for process in range(settings.processes)}
        self._took: dict[tuple[str, Kind], list[float]] = {}
        for seat, (recorder, cell) in seats.items():
            for run in recorder.runs:
                if run.cell == cell and run.status == "ok":
                    self.give_up(seat, run.process)

    def note(self, seat: str, process: int, kind: Kind, seconds: float) -> None:
        """Takes note of an answer."""
        self._took.setdefault((seat, kind), []).append(seconds)
        self._asked.setdefault((seat, process), Counter())[kind] += 1

    def give_up(self, seat: str, process: int) -> None:
        """Takes note that nothing more will be asked of a process."""
        self._asked[seat, process] = self._plan.copy()

    def rounds_of(self, seat: str, process: int) -> int:
        """Returns how many rounds a process has run."""
        return self._asked[seat, process][MeasureRound]

    def seconds(self) -> float | None:
        """Returns the time left in seconds; None while some part has never been timed, or where no end is set."""
        if not self._known:
            return None
        total = 0.0
        for (seat, _), asked in self._asked.items():
            for kind, times in (self._plan - asked).items():
                if not (took := self._took.get((seat, kind))):
                    return None
                total += times * statistics.fmean(took)
        return total


def in_words(seconds: float) -> str:
    """Returns `40 s`, `3 min` or `1 h 5 min`, from a minute on rounded up to whole minutes."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
