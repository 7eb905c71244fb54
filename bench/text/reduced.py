"""Cells of reduced precision beside float32: what they gain in speed, next to what they lose in RMSE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.schema.cell import FULL, Cell, full_precision, precision_of
from bench.schema.derived import Ratio, Rmse, StepTime
from bench.schema.parity import ORACLE, ParityResult
from bench.text.numbers import Interval, three_digits, with_interval


def relative_step_time(ratios: Sequence[Ratio], cell: Cell, base: Cell) -> tuple[float, Interval | None] | None:
    """Return the step time of `cell` over that of `base` with its 95 % interval; None where they have no ratio."""
    for row in ratios:
        if (row.a, row.b) == (str(cell), str(base)):
            return row.ratio, row.ci95
        if (row.b, row.a) == (str(cell), str(base)):
            return 1 / row.ratio, None if row.ci95 is None else (1 / row.ci95[1], 1 / row.ci95[0])
    return None


def relative_words(ratios: Sequence[Ratio], cell: Cell, base: Cell, none: str = "–") -> str:
    """Return the relative step time for a table: 1 for `base` itself, and `none` where they have no ratio."""
    if cell == base:
        return "1"
    ratio = relative_step_time(ratios, cell, base)
    return none if ratio is None else with_interval(*ratio)


def reduced_lines(
    step_time: Mapping[Cell, StepTime],
    ratios: Sequence[Ratio],
    rmse: Mapping[Cell, Rmse],
    parity: Sequence[ParityResult],
    names: Mapping[str, str],
) -> list[str]:
    """Return one sentence a cell of reduced precision that was measured, each beside float32 on the same backend.

    Args:
        step_time: step time by cell.
        ratios: ratios of step times.
        rmse: RMSE by cell.
        parity: records in the order of the stages.
        names: short name of each cell, by its full name.
    """
    lines = []
    for cell in dict.fromkeys([*step_time, *rmse]):
        if precision_of(cell) != FULL:
            base = full_precision(cell)
            figures = [_speed(cell, base, step_time, ratios), _quality(cell, base, rmse)]
            said = ", ".join(figure for figure in figures if figure)
            lines.append(f"{names[str(cell)]}: {said}{_parity(cell, parity)}.")
    return lines


def _speed(cell: Cell, base: Cell, step_time: Mapping[Cell, StepTime], ratios: Sequence[Ratio]) -> str:
    if cell not in step_time:
        return ""
    if (ratio := relative_step_time(ratios, cell, base)) is not None:
        return with_interval(*ratio, " × as long a step as float32")
    return f"{three_digits(step_time[cell].median_ms)} ms/step with no float32 step time beside it"


def _quality(cell: Cell, base: Cell, rmse: Mapping[Cell, Rmse]) -> str:
    if cell not in rmse:
        return ""
    return f"RMSE {rmse[cell].mean:.4f}{f' against {rmse[base].mean:.4f}' if base in rmse else ''}"


def _parity(cell: Cell, parity: Sequence[ParityResult]) -> str:
    judged = [result for result in parity if result.a == str(cell) and result.b == ORACLE]
    if not judged:
        return ""
    first = next((result.stage for result in judged if result.verdict == "outside" and result.known is None), None)
    where = (
        f"outside float32's rounding, first at stage {first}" if first else "within float32's rounding at every stage"
    )
    return f"; {where}"
