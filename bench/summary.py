"""What the raw samples of a report say: step times, ratios, RMSE, and the answer in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

from bench import statistics
from bench.formatting import three_digits, with_interval
from bench.modes import two_modes
from bench.outcome import counts
from bench.parity_records import ParityResult
from bench.precision import FULL, full_precision, precision_of
from bench.record import Record
from bench.reduced import reduced_lines
from bench.report import Cell, Ratio, Report, Rmse, Run, StepTime
from bench.variance import components


class Summary(Record, frozen=True, kw_only=True):
    """The derived parts of a report.

    Attributes:
        step_time: one a cell with at least one steady round, fastest first.
        ratios: one a pair of such cells with a process index in common, in the order of `step_time`.
        rmse: one a cell with at least one run that is `ok`, in the same order: an order by RMSE would make a
            ranking of what is mostly noise.
    """

    step_time: list[StepTime]
    ratios: list[Ratio]
    rmse: list[Rmse]


def rounds_by_process(runs: Iterable[Run]) -> dict[Cell, dict[int, list[float]]]:
    """Returns each cell's steady rounds in ms by process index, for runs with at least one steady round.

    A run that failed later counts: its rounds were measured like any other. Of two runs with the same
    index the later counts, as when a run is repeated.
    """
    rounds: dict[Cell, dict[int, list[float]]] = {}
    for run in runs:
        if run.step_time_ms:
            rounds.setdefault(run.cell, {})[run.process] = run.step_time_ms
    return rounds


def process_medians(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's median round in ms by process index, of the runs that `rounds_by_process` takes."""
    return {
        cell: {process: statistics.process_median(rounds) for process, rounds in by_process.items()}
        for cell, by_process in rounds_by_process(runs).items()
    }


def side_by_side(runs: Iterable[Run], a: Cell, b: Cell, cells: int) -> list[int]:
    """Returns the process indices of which both cells' processes ran their rounds in the same stretch of turns.

    They did not where one cell was measured first and the other by a later `--resume`: the machine may have
    drifted in between. Runs without turns, as in reports made by hand, are taken as side by side.

    Args:
        runs: of the report.
        a: a cell.
        b: another.
        cells: of the report; from one sweep over them, turns lie less than that apart.
    """
    turns = {cell: {run.process: run.turns for run in runs if run.cell == cell and run.step_time_ms} for cell in (a, b)}
    return [
        process
        for process in sorted(turns[a].keys() & turns[b].keys())
        if not (first := turns[a][process])
        or not (second := turns[b][process])
        or max(first[0], second[0]) - min(first[-1], second[-1]) < cells
    ]


def seed_rmse(runs: Iterable[Run]) -> dict[Cell, dict[int, float]]:
    """Returns each cell's final test RMSE by seed, the mean where several processes trained the same seed.

    Only runs that are `ok` count: one that broke off cannot vouch for its model.
    """
    values: dict[Cell, dict[int, list[float]]] = {}
    for run in runs:
        if run.status == "ok" and run.test_rmse is not None and math.isfinite(run.test_rmse):
            values.setdefault(run.cell, {}).setdefault(run.seed, []).append(run.test_rmse)
    return {
        cell: {seed: statistics.mean(several).value for seed, several in sorted(seeds.items())}
        for cell, seeds in values.items()
    }


def summarise(runs: Sequence[Run]) -> Summary:
    """Derives step times, ratios and RMSE from the raw samples.

    Raises:
        ValueError: if a step time is not finite and positive.
    """
    medians = process_medians(runs)
    step_time = [
        _step_time(cell, list(rounds.values()), list(medians[cell].values()))
        for cell, rounds in rounds_by_process(runs).items()
    ]
    step_time.sort(key=lambda row: (row.median_ms, cell_of(row)))
    cells = [cell_of(row) for row in step_time]
    ratios = [
        _ratio(b, a, medians, pairs)
        for b, a in combinations(cells, 2)
        if (pairs := side_by_side(runs, a, b, len(cells)))
    ]
    scores = seed_rmse(runs)
    untimed = sorted(scores.keys() - set(cells))
    rmse = [_rmse(cell, scores[cell]) for cell in [*cells, *untimed] if cell in scores]
    return Summary(step_time=step_time, ratios=ratios, rmse=rmse)


def cell_of(row: StepTime | Rmse) -> Cell:
    """Returns the cell that a row of a summary is about."""
    return Cell(backend=row.backend, device=row.device, loop=row.loop)


def _step_time(cell: Cell, rounds: list[list[float]], medians: list[float]) -> StepTime:
    median = statistics.process_median(medians)
    ends = statistics.typical(medians).ci95
    scatter = components(rounds)
    return StepTime(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        median_ms=median,
        # The interval lies around the geometric mean; in lopsided cells it is widened to hold the median too.
        ci95_ms=None if ends is None else (min(ends[0], median), max(ends[1], median)),
        processes=len(medians),
        rounds=sum(map(len, rounds)),
        process_sd=None if scatter is None else scatter.process_sd,
        round_sd=None if scatter is None else scatter.round_sd,
        modes_ms=two_modes(medians),
    )


def _ratio(first: Cell, second: Cell, medians: dict[Cell, dict[int, float]], processes: list[int]) -> Ratio:
    times = {cell: [medians[cell][process] for process in processes] for cell in (first, second)}
    a, b = second, first
    if statistics.paired_ratio(times[a], times[b]).value < 1:
        a, b = b, a
    estimate = statistics.paired_ratio(times[a], times[b])
    return Ratio(a=str(a), b=str(b), ratio=estimate.value, ci95=estimate.ci95, pairs=len(processes))


def _rmse(cell: Cell, by_seed: dict[int, float]) -> Rmse:
    estimate = statistics.mean(list(by_seed.values()))
    return Rmse(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        mean=estimate.value,
        ci95=estimate.ci95,
        seeds=len(by_seed),
    )


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
    contenders = _and(f"{names[cell]} ({times[cell]})" for cell in [best, *close])
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
        others = ["each other"] if any(row.b != "oracle" for row in results) else []
        others += ["the oracle"] if any(row.b == "oracle" for row in results) else []
        return f"{of_what} agree with {_and(others)} within rounding."
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
        parts.append(f"Known deviation: {_and(known)} (see docs/deviations.md).")
    if not unknown:
        parts.insert(0, f"{of_what.replace('All', 'All else')} agrees within rounding.")
    return " ".join(parts)


def _failures(runs: Sequence[Run], names: dict[str, str]) -> str:
    bad = [run for run in runs if run.status not in ("ok", "skipped")]
    skipped = _unique(names[str(run.cell)] for run in runs if run.status == "skipped")
    parts = []
    if bad:
        cells = _and(_unique(names[str(run.cell)] for run in bad))
        reason = next((f", the first with: {run.error}" for run in bad if run.error), "")
        parts.append(f"{len(bad)} of {len(runs)} runs did not finish ({cells}){reason}.")
    if skipped:
        parts.append(f"Skipped: {_and(skipped)}.")
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


def _and(parts: Iterable[str]) -> str:
    *front, last = list(parts)
    return f"{', '.join(front)} and {last}" if front else last
