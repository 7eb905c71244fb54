"""What a reader must know to trust step times, in the words that `run`, `versus` and `compare` have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.report.widths import widest
from bench.schema.derived import StepTime
from bench.schema.report import Report
from bench.schema.run import Run, Settings
from bench.text.numbers import three_digits


def caveats(report: Report) -> list[str]:
    """Return the caveats of a report, a line each: on its cells, on what ended it, and on noise."""
    return _caveats(report, report.step_time)


def compared_caveats(
    base: Report, new: Report, rows: Sequence[tuple[StepTime, StepTime]], *, together: bool
) -> list[str]:
    """Return the caveats of two reports that are compared, each line with its side, or with both.

    Args:
        base: the older report.
        new: the newer one.
        rows: step times of the cells that are compared, the older first.
        together: whether they were measured together, so that their ratios say when it was enough.
    """
    if not rows:
        return []
    of_sides = {
        "base": _caveats(base, [older for older, _ in rows]),
        "new": _caveats(new, [newer for _, newer in rows]),
    }
    lines = [
        f"{' and '.join(side for side, lines in of_sides.items() if line in lines)}: {line}"
        for line in dict.fromkeys(line for lines in of_sides.values() for line in lines)
    ]
    return [*lines, *(_ended(new.settings, [base.runs, new.runs]) if together else ())]


def cell_caveats(report: Report, rows: Iterable[StepTime]) -> list[str]:
    """Return the caveats of cells of a report: groups of processes, cores apart, and unsteady processes."""
    lines = []
    for row in rows:
        cell = row.cell
        if row.modes_ms is not None:
            fast, slow = map(three_digits, row.modes_ms)
            lines.append(f"{cell}: its processes fall into two groups, near {fast} and {slow} ms/step.")
        if row.apart_rounds:
            lines.append(f"{cell}: {_apart(row)}")
        unsteady = sum(run.steady is False for run in report.runs if run.cell == cell)
        if unsteady:
            lines.append(f"{cell}: {unsteady} of {row.processes} processes were still getting faster when timed.")
    return lines


def _caveats(report: Report, rows: Iterable[StepTime]) -> list[str]:
    noise = report.conditions.warnings if report.conditions else []
    # What ended the measurement of a report that has a partner, their ratios say.
    ended = [] if report.together else _ended(report.settings, [report.runs])
    return [*cell_caveats(report, rows), *ended, *(f"Noise: {warning}" for warning in noise)]


def _ended(settings: Settings, sides: Sequence[Sequence[Run]]) -> list[str]:
    """Return a line where the requested precision was not reached, by the cells of one side or the ratios of two."""
    precision = settings.precision
    if precision is None or not math.log1p(precision) < (wide := widest(sides)) < math.inf:
        return []
    ended = "--budget" if all(run.status == "ok" for runs in sides for run in runs) else "--budget or lost processes"
    of_what = "" if len(sides) == 1 else " of a ratio"
    reached = f"±{100 * math.expm1(wide):.1f} %, not ±{100 * precision:g} %"
    return [f"The widest interval{of_what} is {reached}: {ended} ended it."]


def _apart(row: StepTime) -> str:
    """Return in a sentence whether rounds timed while the cores shared no cache were left out."""
    longer = "" if row.apart_slowdown is None else f", a step took {three_digits(row.apart_slowdown)} × as long then"
    if row.calm:
        return f"{row.apart_rounds} rounds left out, timed while the cores shared no cache{longer}."
    return (
        f"{row.apart_rounds} of {row.rounds} rounds were timed while the cores shared no cache{longer}; too few others "
        "are left to leave them out, so measure again or give --patience 10m."
    )
