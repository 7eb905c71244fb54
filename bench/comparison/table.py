"""A comparison of two measurements as tables on the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from bench.comparison.changes import first_changes
from bench.comparison.records import Comparison
from bench.comparison.words import (
    conclusion,
    drift_words,
    interval_words,
    margin_words,
    missing_cells,
    parity_groups,
    rmse_words,
    undecided_words,
)
from bench.statistics.contrast import MOST_PROCESSES
from bench.text.numbers import three_digits, with_interval
from bench.text.table import FittingTable

STYLES = {
    "faster": "green",
    "better": "green",
    "slower": "red",
    "worse": "red",
    "undecided": "yellow",
    "not comparable": "yellow",
}


def render(comparison: Comparison) -> RenderableType:
    """Return all that a comparison says, ready for `rich.console.Console.print`.

    Names from the reports are shown as they are: nothing in them is read as markup.
    """
    parts: list[RenderableType] = []
    if comparison.not_comparable:
        parts.append(Text(f"Times are not comparable: {comparison.not_comparable}", style="yellow"))
    if comparison.step_time:
        parts += _step_time(comparison)
        parts += [Text(line) for line in [drift_words(comparison)] if line]
    parts += [Text(f"{', '.join(cells)}: {why}.") for why, cells in undecided_words(comparison)]
    parts += [Text(note) for note in comparison.notes]
    if comparison.rmse_not_comparable:
        parts.append(
            Text(f"{comparison.score_label} is not comparable: {comparison.rmse_not_comparable}", style="yellow")
        )
    if comparison.scores:
        parts += _scores(comparison)
    parts += [
        Text(f"{group.heading}: {line}", style="red" if group.fails else "")
        for group in parity_groups(comparison)
        for line in group.lines
    ]
    parts += [Text(line) for line in missing_cells(comparison)]
    if comparison.changes:
        parts.append(Text(f"Changed: {', '.join(first_changes(comparison.changes))}"))
    doubtful = comparison.nothing_compared or comparison.slower_within_margin
    style = "bold red" if comparison.is_worse else "bold yellow" if doubtful else "bold"
    parts.append(Text(conclusion(comparison), style=style))
    return Group(*parts)


def _step_time(comparison: Comparison) -> list[RenderableType]:
    title = (
        f"{comparison.what_is_timed}, ms, and ratio with {interval_words(comparison.step_confidence)}; "
        f"up to {comparison.margin_in_words} longer is fine"
    )
    needed = any(row.processes_needed is not None for row in comparison.step_time)
    table = _table("cell", "base", "new", "new / base", "verdict", *(["needs"] if needed else []))
    if needed:
        table.caption = "needs: processes on each side that would likely decide"
        table.caption_justify = "left"
    for row in comparison.step_time:
        verdict = Text(f"{row.verdict}{', regression' if row.regression else ''}", style=STYLES.get(row.verdict, ""))
        times = (three_digits(row.base.median_ms), three_digits(row.new.median_ms))
        ratio = "-" if row.ratio is None else with_interval(row.ratio, row.ci95)
        table.add_row(Text(row.cell), *times, Text(ratio), verdict, *([_needed(row.processes_needed)] * needed))
    return [Text(title, style="bold"), table]


def _needed(processes: int | None) -> str:
    if processes is None:
        return ""
    return f"> {MOST_PROCESSES}" if processes > MOST_PROCESSES else str(processes)


def _scores(comparison: Comparison) -> list[RenderableType]:
    title = (
        f"Test {comparison.score_label}: mean over seeds, difference with "
        f"{interval_words(comparison.rmse_confidence)}; {margin_words(comparison)}"
    )
    table = _table("cell", "base", "new", "new - base", "verdict")
    for row in comparison.scores:
        verdict = Text(row.verdict, style=STYLES.get(row.verdict, ""))
        table.add_row(Text(row.cell), f"{row.base:.4f}", f"{row.new:.4f}", Text(rmse_words(row)), verdict)
    return [Text(title, style="bold"), table]


def _table(*columns: str) -> FittingTable:
    table = FittingTable()
    for column in columns:
        # A long name or verdict may be folded in a narrow terminal; a number may not.
        words = column in ("cell", "verdict")
        table.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table
