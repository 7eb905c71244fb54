"""Show the progress of a measurement: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from bench.measure.live_table import live_table, step_times_line
from bench.measure.recorder import Recorder
from bench.schema.cell import Cell
from bench.schema.messages import Command, Job, MeasureRound, Stop, Train, WarmUp
from bench.schema.run import Run, Settings

if TYPE_CHECKING:
    from bench.measure.plan import Side

Kind = type[Command]


DOING = {Job: "starting", Train: "training", WarmUp: "warming up", MeasureRound: "timing", Stop: "stopping"}


REDRAW_S = 0.25  # least time between two drawings: the terminal, too, takes processor time


class Progress:
    """The progress of a measurement.

    It draws only when a worker has replied or is to start, train or warm up: a refreshing thread would run beside the
    workers that are being timed.

    Args:
        console: where to draw; off a terminal, a line is printed where a worker starts or is lost.
        settings: settings of the measurement.
        sides: sides that are measured; their reports are read.
        cells: cells of each side.
    """

    def __init__(self, console: Console, settings: Settings, sides: Sequence[Side], cells: Sequence[Cell]) -> None:
        self.console = console
        self._settings = settings
        self._seats = {side.called(cell): (side.recorder, cell) for side in sides for cell in cells}
        self._left = TimeLeft(settings, self._seats)
        self._doing: dict[str, str] = {}
        self._now: tuple[str, int, Command] | None = None
        self._process = -1
        self._began = self._asked = time.monotonic()
        self._drawn = 0.0
        self._live: Live | None = None
        # Rich also calls a pipe a terminal where FORCE_COLOR is set, as in many a CI, and a notebook.
        if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Progress:
        """Start drawing."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wipe the table."""
        if self._live is not None:
            self._live.stop()

    def show(self, cell: str, process: int, command: Command) -> None:
        """Show what a worker is about to do."""
        if process > self._process:
            self._begin(process)
        self._now = (cell, process, command)
        self._doing[cell] = DOING[type(command)]
        if isinstance(command, Job) and self._live is None:
            self.console.print(f"{cell} process {process}: {DOING[Job]}")
        if isinstance(command, Job | Train | WarmUp):
            self._draw()
        self._asked = time.monotonic()

    def note(self, cell: str, process: int, doing: str) -> None:
        """Show on a terminal what a worker does beside the steps that are counted."""
        self._doing[cell] = doing
        self._draw()

    def advance(self) -> None:
        """Count the reply of the worker that was shown last."""
        if self._now is None:
            return
        cell, process, command = self._now
        self._left.note(cell, process, type(command), time.monotonic() - self._asked)
        if isinstance(command, WarmUp):
            self._doing[cell] = "waiting for its rounds"
        elif isinstance(command, MeasureRound):
            self._doing[cell] = f"round {self._left.rounds_of(cell, process)}"
        elif isinstance(command, Stop):
            self._doing[cell] = ""
        if time.monotonic() - self._drawn >= REDRAW_S:
            self._draw()

    def skip(self, cell: str, process: int) -> None:
        """Count a run that will not be measured."""
        self._left.give_up(cell, process)
        self._doing[cell] = "skipped"

    def lose(self, cell: str, run: Run) -> None:
        """Report that a worker was lost."""
        self._left.give_up(cell, run.process)
        self._doing[cell] = run.status
        words = f"{cell} process {run.process}: {run.status}: {run.error}"
        self.console.print(words, soft_wrap=self._live is None)

    def _begin(self, process: int) -> None:
        """Print the step times so far when the next process of every cell is about to start."""
        self._process = process
        self._doing.clear()
        known = step_times_line(self._seats)
        if self._live is None and known:
            self.console.print(f"{known}; {self._when()}", soft_wrap=True)

    def _when(self) -> str:
        gone = f"{in_words(time.monotonic() - self._began)} gone"
        if self._settings.budget_s is not None:
            return f"{gone}, --budget {in_words(self._settings.budget_s)}"
        left = self._left.seconds()
        return f"{gone}, some {in_words(left)} left" if left else gone

    def _draw(self) -> None:
        if self._live is None:
            return
        of = "" if self._settings.adaptive else f" of {self._settings.processes}"
        title = f"process {self._process + 1}{of} of each cell; {self._when()}"
        self._live.update(live_table(title, self._seats, self._doing, self._settings), refresh=True)
        self._drawn = time.monotonic()


class TimeLeft:
    """The time that is left: each command still to come, at the mean time that it has taken its cell so far.

    Args:
        settings: settings that fix the commands of each process.
        seats: recorder and cell by name; runs that the recorder holds as `ok` are not measured again.
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
        """Count a reply and its time."""
        self._took.setdefault((seat, kind), []).append(seconds)
        self._asked.setdefault((seat, process), Counter())[kind] += 1

    def give_up(self, seat: str, process: int) -> None:
        """Count a process whose remaining commands will not be sent."""
        self._asked[seat, process] = self._plan.copy()

    def rounds_of(self, seat: str, process: int) -> int:
        """Return how many rounds a process has run."""
        return self._asked[seat, process][MeasureRound]

    def seconds(self) -> float | None:
        """Return the time left in seconds; None while some command has never been timed, or where no end is set."""
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
    """Return `40 s`, `3 min` or `1 h 5 min`, from a minute on rounded up to whole minutes."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
