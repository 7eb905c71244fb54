"""A progress bar on a terminal, a line a worker elsewhere."""

from __future__ import annotations

import os
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from bench.protocol import Command, Job, MeasureRound, Stop, Train, WarmUp
from bench.report import Run

DOING = {Job: "starting", Train: "training", WarmUp: "warming up", MeasureRound: "timing", Stop: "stopping"}


class LastingConsole(Console):
    """A console that falls silent when the reader of its output has gone; Rich's own would end the program."""

    def on_broken_pipe(self) -> None:
        """Sends what is left, at this program's end too, nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


class Progress:
    """Shows on stderr how far a measurement has come.

    It draws only when told to: a refreshing thread would run beside the workers that are being timed.

    Args:
        console: where to draw; on anything but a terminal it prints a line where a worker starts or is lost.
        steps: answers that all workers together will give; None where nobody knows.
    """

    def __init__(self, console: Console, steps: int | None) -> None:
        self.console = console
        self._bar = Bar(
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=steps)
        self._done: dict[tuple[str, int], int] = {}
        self._now: tuple[str, int] | None = None

    def __enter__(self) -> Progress:
        """Starts drawing."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wipes the bar."""
        self._bar.stop()

    def show(self, cell: str, process: int, command: Command) -> None:
        """Says what a worker is about to do."""
        self._now = (cell, process)
        doing = DOING[type(command)]
        if isinstance(command, Job) and not self.console.is_terminal:
            self.console.print(f"{cell} process {process}: {doing}", highlight=False)
        self.tell(cell, process, doing)

    def tell(self, cell: str, process: int, doing: str) -> None:
        """Says on a terminal what a worker does beside what is counted."""
        self._bar.update(self._task, description=f"{cell} process {process}: {doing}", refresh=True)

    def advance(self) -> None:
        """Counts one answer of the worker shown last."""
        if self._now is not None:
            self._done[self._now] = self._done.get(self._now, 0) + 1
        self._bar.update(self._task, advance=1, refresh=True)

    def skip(self, steps: int) -> None:
        """Counts a run that will not be measured."""
        self._bar.update(self._task, advance=steps, refresh=True)

    def lose(self, cell: str, run: Run, steps: int) -> None:
        """Says that a worker was lost and counts what it will not answer."""
        self.console.print(f"{cell} process {run.process}: {run.status}: {run.error}", highlight=False, markup=False)
        self._bar.update(self._task, advance=steps - self._done.get((cell, run.process), 0), refresh=True)
