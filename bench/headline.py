"""A report's answer in a few plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.formatting import listed, three_digits, with_interval
from bench.outcome import counts
from bench.parity_records import ORACLE, ParityResult
from bench.precision import FULL, full_precision, precision_of
from bench.reduced import reduced_lines
from bench.report import Cell, Ratio, Report, Rmse, Run
from bench.summary import Summary, cell_of, summarise


def headline(report: Report) -> str:
    """Returns the report's answer in a few plain sentences: speed on each device, RMSE, agreement, failures.

    It names a fastest cell only where the interval of every ratio to it lies above 1, and says "too close to
    call" or that one process gives no interval where that is the truth. Cells of reduced precision follow in a line
    each, and are part of the rest only where nothing was measured in float32.
    """
    everything = summarise(report.runs)
    names = short_names(run.cell for run in report.runs)
    summary = _in_float32(everything)
    devices = _unique(row.device for row in summary.step_time)
    parts = [_speed(report, summary, device, names) for device in devices]
    parts += [
        _across_devices(summary, devices, names) if devices else "No step time was measured.",
        _quality(summary.rmse, names),
        _agreement(report.parity, names),
        _failures(report.runs, names),
    ]
    lines = reduced_lines(
        {cell_of(row): row for row in everything.step_time},
        everything.ratios,
        {cell_of(row): row for row in everything.rmse},
        report.parity,
        names,
    )
    return "\n".join([" ".join(part for part in parts if part), *lines])


def _in_float32(summary: Summary) -> Summary:
    """Returns the part of float32, or all where no float32 step was timed."""
    step_time = [row for row in summary.step_time if precision_of(cell_of(row)) == FULL]
    rmse = [row for row in summary.rmse if precision_of(cell_of(row)) == FULL]
    return Summary(step_time=step_time, ratios=summary.ratios, rmse=rmse) if step_time else summary


def _speed(report: Report, summary: Summary, device: str, names: dict[str, str]) -> str:
    rows = [row for row in summary.step_time if row.device == device]
    where = f"On {_place(report, device)}"
    times = {str(cell_of(row)): f"{three_digits(row.median_ms)} ms/step" for row in rows}
    best, *others = times
    if not others:
        return f"{where} {names[best]} takes {times[best]}."
    ratios = {(row.a, row.b): row for row in summary.ratios}
    slower = {cell: ratios[cell, best] for cell in others if _is_slower(ratios.get((cell, best)))}
    close = [cell for cell in others if cell not in slower]
    tail = "".join(f"; {names[cell]} takes {_times(row)} as long" for cell, row in slower.items())
    if not close:
        return f"{where} {names[best]} trains fastest: {times[best]}{tail}."
    contenders = listed(f"{names[cell]} ({times[cell]})" for cell in [best, *close])
    if all(row.processes == 1 for row in rows):
        return f"{where} one process each measured {contenders}; that gives no interval, so it settles nothing."
    return f"{where} it is too close to call between {contenders}{tail and f'{tail} as {names[best]}'}."


def _across_devices(summary: Summary, devices: Sequence[str], names: dict[str, str]) -> str:
    """Returns how the fastest cell of each further device compares with the fastest of all."""
    best = {device: str(next(cell_of(row) for row in summary.step_time if row.device == device)) for device in devices}
    pairs = [row for row in summary.ratios if row.b == best[devices[0]] and row.a in best.values()]
    decided = [row for row in pairs if _is_slower(row)]
    return " ".join(f"{names[row.a]} takes {_times(row)} as long as {names[row.b]}." for row in decided)


def _is_slower(row: Ratio | None) -> bool:
    return row is not None and row.ci95 is not None and row.ci95[0] > 1


def _times(row: Ratio) -> str:
    estimate, _, ends = with_interval(row.ratio, row.ci95).partition(" ")
    return f"{estimate} × {ends}"


def _place(report: Report, device: str) -> str:
    if device == "cpu":
        return f"this CPU ({report.machine.cpu_model})"
    names = _unique(run.device_name for run in report.runs if run.device == device and run.device_name)
    return f"this {device.upper()} ({', '.join(names)})" if names else f"this {device.upper()}"


def _quality(rows: Sequence[Rmse], names: dict[str, str]) -> str:
    values = ", ".join(f"{row.mean:.4f} ({names[str(cell_of(row))]})" for row in rows)
    return f"Test RMSE {values}." if rows else ""


def _agreement(results: Sequence[ParityResult], names: dict[str, str]) -> str:
    if not results:
        return "Whether the backends agree was not measured."
    everything, results = results, [result for result in results if counts(result)]
    if not results:
        return ""
    of_what = "All" if len(results) == len(everything) else "All in float32"
    outside = [result for result in results if result.verdict == "outside"]
    if not outside:
        others = ["each other"] if any(row.b != ORACLE for row in results) else []
        others += ["the oracle"] if any(row.b == ORACLE for row in results) else []
        return f"{of_what} agree with {listed(others)} within rounding."
    known = _unique(row.known for row in outside if row.known)
    unknown: dict[tuple[str, str], ParityResult] = {}
    for row in outside:
        if row.known is None:
            unknown.setdefault((row.a, row.b), row)
    parts = [
        f"{names.get(a, a)} and {names.get(b, b)} lie further apart than rounding explains, first at stage {row.stage}."
        for (a, b), row in unknown.items()
    ]
    if known:
        parts.append(f"Known deviation: {listed(known)} (see docs/deviations.md).")
    if not unknown:
        parts.insert(0, f"{of_what.replace('All', 'All else')} agrees within rounding.")
    return " ".join(parts)


def _failures(runs: Sequence[Run], names: dict[str, str]) -> str:
    bad = [run for run in runs if run.status not in ("ok", "skipped")]
    skipped = _unique(names[str(run.cell)] for run in runs if run.status == "skipped")
    parts = []
    if bad:
        cells = listed(_unique(names[str(run.cell)] for run in bad))
        reason = next((f", the first with: {run.error}" for run in bad if run.error), "")
        parts.append(f"{len(bad)} of {len(runs)} runs did not finish ({cells}){reason}.")
    if skipped:
        parts.append(f"Skipped: {listed(skipped)}.")
    return " ".join(parts)


def short_names(cells: Iterable[Cell]) -> dict[str, str]:
    """Returns each cell's shortest clear name: `jax` where that says it all, `jax/gpu/fit` otherwise.

    Reduced precision is told in words, as `jax with bfloat16`.
    """
    unique = set(cells)
    full = {full_precision(cell) for cell in unique}
    short = len({cell.backend for cell in full}) == len(full)
    return {str(cell): _name(cell, short) for cell in unique}


def _name(cell: Cell, short: bool) -> str:
    base = cell.backend if short else str(full_precision(cell))
    return base if precision_of(cell) == FULL else f"{base} with {precision_of(cell)}"


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
