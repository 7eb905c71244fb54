"""Two reports side by side: what became slower, worse or another model.

A verdict needs an interval, so reports with one process a cell leave everything `undecided`. The samples of
both reports are read again; what a report stores as derived is for other readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench import statistics
from bench.comparison import Comparison, RmseComparison, RmseVerdict, StepComparison, StepVerdict
from bench.errors import BenchError
from bench.report import Cell, ParityResult, Report, Run
from bench.statistics import Estimate, Interval
from bench.summary import cell_of, process_medians, seed_rmse, summarise

DEFAULT_MAX_REGRESSION = 0.05
# Training from other seeds moves the tutorial's test RMSE by some 0.0005; a worse model shows well above that.
DEFAULT_RMSE_MARGIN = 0.001


def compare_reports(
    base: Report,
    new: Report,
    *,
    max_regression: float = DEFAULT_MAX_REGRESSION,
    rmse_margin: float = DEFAULT_RMSE_MARGIN,
    force: bool = False,
) -> Comparison:
    """Compares two reports cell by cell.

    Args:
        base: the older report.
        new: the newer report.
        max_regression: share by which a step may take longer, such as 0.05.
        rmse_margin: by how much the test RMSE may rise.
        force: compare step times even where workload, machine or threads differ.

    Raises:
        BenchError: if a limit is negative or not finite, or a step time in a report is not positive.
    """
    for name, value in (("max-regression", max_regression), ("rmse-margin", rmse_margin)):
        if not (math.isfinite(value) and value >= 0):
            raise BenchError(f"--{name} must be 0 or more; received {value}. Give for example 5%.")
    workload = _workload_difference(base, new)
    reason = workload or _machine_difference(base, new)
    try:
        step_time = _step_times(base, new, max_regression, refuse=reason is not None and not force)
    except ValueError as error:
        raise BenchError(f"A report holds an impossible step time: {error}. Measure it again.") from error
    measured = {side: {run.cell for run in report.runs if _measured(run)} for side, report in enumerate((base, new))}
    return Comparison(
        not_comparable=reason,
        rmse_not_comparable=workload,
        max_regression=max_regression,
        rmse_margin=rmse_margin,
        step_time=step_time,
        rmse=[] if workload else _rmses(base, new, rmse_margin),
        parity=_newly_outside(base.parity, new.parity),
        only_in_base={str(cell): _why_absent(cell, new.runs) for cell in sorted(measured[0] - measured[1])},
        only_in_new={str(cell): _why_absent(cell, base.runs) for cell in sorted(measured[1] - measured[0])},
        changes=_changes(base, new),
    )


def _step_times(base: Report, new: Report, max_regression: float, *, refuse: bool) -> list[StepComparison]:
    old_rows = {cell_of(row): row for row in summarise(base.runs).step_time}
    old, recent = process_medians(base.runs), process_medians(new.runs)
    rows = []
    for row in summarise(new.runs).step_time:
        cell = cell_of(row)
        if cell not in old:
            continue
        estimate = None if refuse else statistics.ratio(list(recent[cell].values()), list(old[cell].values()))
        ends = estimate.ci95 if estimate else None
        rows.append(
            StepComparison(
                cell=str(cell),
                base=old_rows[cell],
                new=row,
                ratio=estimate.value if estimate else None,
                ci95=ends,
                verdict="not comparable" if refuse else _step_verdict(ends, max_regression),
                regression=ends is not None and ends[0] > 1 + max_regression,
            )
        )
    return rows


def _step_verdict(ends: Interval | None, max_regression: float) -> StepVerdict:
    if ends is None:
        return "undecided"
    if 1 / (1 + max_regression) <= ends[0] and ends[1] <= 1 + max_regression:
        return "same"
    if ends[1] < 1:
        return "faster"
    return "slower" if ends[0] > 1 else "undecided"


def _rmses(base: Report, new: Report, margin: float) -> list[RmseComparison]:
    old, recent = seed_rmse(base.runs), seed_rmse(new.runs)
    rows = []
    for cell in sorted(old.keys() & recent.keys()):
        estimate = _rmse_difference(old[cell], recent[cell])
        rows.append(
            RmseComparison(
                cell=str(cell),
                base=statistics.mean(list(old[cell].values())).value,
                new=statistics.mean(list(recent[cell].values())).value,
                difference=estimate.value,
                ci95=estimate.ci95,
                verdict=_rmse_verdict(estimate.ci95, margin),
            )
        )
    return rows


def _rmse_difference(base: Mapping[int, float], new: Mapping[int, float]) -> Estimate:
    # The same seed gives the same initial weights, so most of what seeds do cancels in pairs.
    common = sorted(base.keys() & new.keys())
    if len(common) > 1:
        return statistics.paired_difference([new[seed] for seed in common], [base[seed] for seed in common])
    return statistics.difference(list(new.values()), list(base.values()))


def _rmse_verdict(ends: Interval | None, margin: float) -> RmseVerdict:
    if ends is None:
        return "undecided"
    if -margin <= ends[0] and ends[1] <= margin:
        return "same"
    if ends[0] > margin:
        return "worse"
    return "better" if ends[1] < -margin else "undecided"


def _newly_outside(base: Sequence[ParityResult], new: Sequence[ParityResult]) -> list[ParityResult]:
    def is_fault(result: ParityResult) -> bool:
        return result.verdict == "outside" and result.known is None

    before = {(result.a, result.b, result.stage) for result in base if is_fault(result)}
    return [result for result in new if is_fault(result) and (result.a, result.b, result.stage) not in before]


def _workload_difference(base: Report, new: Report) -> str | None:
    # `source` may differ: equal checksums mean equal ratings in equal order.
    names = [name for name in base.workload.__struct_fields__ if name != "source"]
    return _difference("workload", {n: (getattr(base.workload, n), getattr(new.workload, n)) for n in names})


def _machine_difference(base: Report, new: Report) -> str | None:
    def key(report: Report) -> dict[str, Any]:
        machine = report.machine
        return {
            "cpu_model": machine.cpu_model,
            "usable_cores": machine.usable_cores,
            "gpus": ", ".join(gpu.name for gpu in machine.gpus) or "none",
            "threads": report.settings.threads,
        }

    old, recent = key(base), key(new)
    return _difference("machine", {name: (old[name], recent[name]) for name in old})


def _difference(what: str, values: Mapping[str, tuple[object, object]]) -> str | None:
    parts = [f"{name} {old} -> {new}" for name, (old, new) in values.items() if old != new]
    return f"different {what}: {'; '.join(parts)}" if parts else None


def _changes(base: Report, new: Report) -> list[str]:
    pairs = {"python": (base.software.python, new.software.python)}
    for name in sorted(base.software.packages.keys() | new.software.packages.keys()):
        pairs[name] = (base.software.packages.get(name, "absent"), new.software.packages.get(name, "absent"))
    return [f"{name} {old} -> {recent}" for name, (old, recent) in pairs.items() if old != recent]


def _measured(run: Run) -> bool:
    return bool(run.step_time_ms) or run.status == "ok"


def _why_absent(cell: Cell, runs: Sequence[Run]) -> str | None:
    return next((f"{run.status}: {run.error}" if run.error else run.status for run in runs if run.cell == cell), None)
