"""What trainings end at and how long they take to get there, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.schema.derived import FirstStep, ReferenceRmse, TimeToTarget
from bench.text.numbers import with_interval


def time_to_target_lines(rows: Sequence[TimeToTarget], names: Mapping[str, str], metric: str = "RMSE") -> list[str]:
    """Return a heading and one line a cell; nothing where there are no rows.

    Args:
        rows: records of one target.
        names: short name of each cell, by its full name.
        metric: name of the metric of the target.
    """
    if not rows:
        return []
    called = _padded([_name(row, names) for row in rows])
    times = _padded([with_interval(row.typical_s, row.ci95_s) for row in rows])
    epochs = _padded([_epochs(row) for row in rows])
    return [
        f"Seconds of training to test {metric} {rows[0].target:g} (95 % intervals over seeds and processes):",
        *(
            f"  {cell}  {time}  {needed}  {_reached(row)}"
            for row, cell, time, needed in zip(rows, called, times, epochs, strict=True)
        ),
        *(["Processes that never reached it are not in these times."] if any(map(_some_never, rows)) else []),
    ]


def reference_rmse_lines(rows: Sequence[ReferenceRmse], names: Mapping[str, str]) -> list[str]:
    """Return a heading and one line a cell; nothing where there are no rows.

    Args:
        rows: records of one oracle.
        names: short name of each cell, by its full name.
    """
    if not rows:
        return []
    called = _padded([_name(row, names) for row in rows])
    return [
        f"Test RMSE minus the oracle's ({_reference(rows[0])}), seed by seed:",
        *(f"  {cell}  {_difference(row)}{_beyond(row)}" for row, cell in zip(rows, called, strict=True)),
    ]


def _name(row: TimeToTarget | ReferenceRmse, names: Mapping[str, str]) -> str:
    return names.get(str(row.cell), str(row.cell))


def _padded(texts: Sequence[str]) -> list[str]:
    width = max(map(len, texts))
    return [text.ljust(width) for text in texts]


def _epochs(row: TimeToTarget) -> str:
    needed = sorted({epochs for epochs in row.epochs if epochs is not None})
    if not needed:
        return "–"
    span = f"{needed[0]}" if len(needed) == 1 else f"{needed[0]}–{needed[-1]}"
    return f"{span} epoch" if needed == [1] else f"{span} epochs"


def _reached(row: TimeToTarget) -> str:
    return f"{row.reached} of {row.processes} {'process' if row.processes == 1 else 'processes'}"


def _some_never(row: TimeToTarget) -> bool:
    return row.reached < row.processes


def _reference(row: ReferenceRmse) -> str:
    if row.reference_sd is None:
        return f"{row.reference_mean:.4f} with one seed"
    return f"{row.reference_mean:.4f} ± {row.reference_sd:.4f} over {row.reference_seeds} seeds"


def _difference(row: ReferenceRmse) -> str:
    ends = "" if row.ci95 is None else f" [{_signed(row.ci95[0])}, {_signed(row.ci95[1])}]"
    return f"{_signed(row.difference)}{ends}"


def _signed(value: float) -> str:
    # Rounded first, so that a difference of nothing has no minus sign.
    return f"{round(value, 6) + 0.0:+.6f}"


def _beyond(row: ReferenceRmse) -> str:
    if row.verdict != "outside" or row.reference_95 is None:
        return ""
    low, high = row.reference_95
    return f"  {row.mean:.4f} lies outside {low:.4f} to {high:.4f}"


def first_step_lines(rows: Sequence[FirstStep], names: Mapping[str, str]) -> list[str]:
    """Return a line on what compiled code on disk saves; nothing where no framework kept any.

    Args:
        rows: records of one report.
        names: short name of each cell, by its full name.
    """
    parts = [
        f"{names.get(str(row.cell), str(row.cell))} {row.cold_s:.2f} → {row.warm_s:.2f} s"
        for row in rows
        if row.cold_s is not None and row.warm_s is not None
    ]
    return [f"First step, cold → with compiled code from an earlier process: {', '.join(parts)}."] if parts else []
