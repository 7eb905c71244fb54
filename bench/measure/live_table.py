"""The live table of a measurement in progress."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from bench.measure.design import fewest
from bench.measure.recorder import Recorder
from bench.schema.cell import Cell, short_names
from bench.schema.derived import StepTime
from bench.schema.run import Settings
from bench.text.numbers import three_digits, with_interval
from bench.text.table import FittingTable

LONGEST_WORDS = len("waiting for its rounds")  # so that the table keeps its width

Seats = Mapping[str, tuple[Recorder, Cell]]


def live_table(title: str, seats: Seats, doing: Mapping[str, str], settings: Settings) -> RenderableType:
    """Return a row for each cell: processes done, step time so far with its 95 % interval, and what it does now.

    Args:
        title: title of the table.
        seats: recorder and cell by the name that the supervisor gives it.
        doing: what some of them do now, in words.
        settings: how many processes are asked for.
    """
    table = FittingTable(show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("processes", justify="right", no_wrap=True)
    table.add_column("ms/step so far", justify="right", no_wrap=True)
    table.add_column("now", no_wrap=True, min_width=LONGEST_WORDS)
    names = _names(seats)
    for seat, (recorder, cell) in seats.items():
        done = sum(run.status == "ok" for run in recorder.runs if run.cell == cell)
        row = _step_time(recorder, cell)
        table.add_row(
            Text(names[seat]),
            f"{done}/{fewest(settings)}{'+' if settings.adaptive else ''}",
            "–" if row is None else with_interval(row.median_ms, row.ci95_ms),
            _in_short(doing.get(seat, "")),
        )
    return Group(Text(title, style="bold"), table)


def step_times_line(seats: Seats) -> str:
    """Return the step times so far in one line; an empty string where none is known."""
    names = _names(seats)
    known = {seat: row for seat, (recorder, cell) in seats.items() if (row := _step_time(recorder, cell)) is not None}
    if not known:
        return ""
    times = ", ".join(f"{names[seat]} {three_digits(row.median_ms)}" for seat, row in known.items())
    return f"ms/step so far: {times}"


def _step_time(recorder: Recorder, cell: Cell) -> StepTime | None:
    return next((row for row in recorder.report.step_time if row.cell == cell), None)


def _in_short(words: str) -> Text:
    text = Text(words)
    text.truncate(LONGEST_WORDS, overflow="ellipsis")  # here, since the table itself cuts nothing off
    return text


def _names(seats: Seats) -> dict[str, str]:
    """Return a short name for each seat: its cell's, after its side's where there are two."""
    short = short_names(cell for _, cell in seats.values())
    return {seat: seat.removesuffix(str(cell)) + short[str(cell)] for seat, (_, cell) in seats.items()}
