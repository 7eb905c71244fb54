"""Reports as rows for pandas, polars or a spreadsheet: lists of flat dicts, a function for each kind of row.

`pandas.DataFrame(rounds(report))` and `polars.DataFrame(rounds(report))` both work. All rows of a list have the same
keys, and all values of a key the same type: a value that was not measured is NaN among numbers and an empty string
among words. Add a key to distinguish the rows of several reports.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from itertools import zip_longest
from typing import TypeVar

from bench.comparison.records import Comparison
from bench.report.rounds import which_count
from bench.schema.cell import Cell, OfCell
from bench.schema.parity import breaks_parity
from bench.schema.report import Report
from bench.schema.run import Run

Row = dict[str, str | int | float | bool]
Derived = TypeVar("Derived", bound=OfCell)

NAN = math.nan
PHASES = ("threads", "import_s", "data_s", "build_s", "first_step_s", "train_s", "evaluate_s", "predict_s")


def rounds(report: Report) -> list[Row]:
    """Return one row a timed round: its cell, process, seed, place, and `step_time_ms`.

    `round` counts from 0 within the process; `turn` is the place in the interleaved order of the whole report, -1 in
    a report that did not record it. `counts` says whether statistics use the round, `handover` is the machine's state
    (docs/machine-state.md).
    """
    return [
        {
            **_process(run),
            "round": place,
            "turn": run.turns[place] if place < len(run.turns) else -1,
            "step_time_ms": float(step_time),
            "handover": _number(run.handover[place] if place < len(run.handover) else None),
            "counts": counts,
        }
        for run, counting in zip(report.runs, which_count(report.runs), strict=True)
        for place, (step_time, counts) in enumerate(zip(run.step_time_ms, counting, strict=True))
    ]


def runs(report: Report) -> list[Row]:
    """Return one row a worker process, failed ones too: phases in seconds, memory in MiB, and how it ended.

    `step_time_ms` is the median of its rounds. `unsteady` says that it was still getting faster when timed.
    """
    return [
        {
            **_process(run),
            "status": run.status,
            **{name: getattr(run, name) or "" for name in ("error", "compile_mode", "compile_cache", "device_name")},
            **{name: _number(getattr(run, name)) for name in PHASES},
            "unsteady": run.steady is False,
            "rounds": len(run.step_time_ms),
            "step_time_ms": statistics.median(run.step_time_ms) if run.step_time_ms else NAN,
            "train_rmse": _number(run.train_rmse[-1] if run.train_rmse else None),
            "test_rmse": _number(run.test_rmse),
            "train_metric": _number(run.train_metric[-1] if run.train_metric else None),
            "test_metric": _number(run.test_metric),
            "peak_rss_mib": _number(run.peak_rss_mib),
            "peak_device_mib": _number(run.peak_device_mib),
        }
        for run in report.runs
    ]


def cells(report: Report) -> list[Row]:
    """Return one row a cell with a step time, fastest first: its figures with their 95 % intervals.

    `times_fastest` is the step time over that of the first row, from processes measured side by side.
    """
    fastest = str(report.step_time[0].cell) if report.step_time else ""
    times = {row.a: row for row in report.ratios if row.b == fastest}
    rmse, first = _by_cell(report.rmse), _by_cell(report.first_steps)
    metric = _by_cell(report.metrics)
    floor, target = _by_cell(report.floors), _by_cell(report.time_to_target)
    return [
        {
            **_named(cell := row.cell),
            **_interval("step_time_ms", row, "median_ms", "ci95_ms"),
            "processes": row.processes,
            "rounds": row.rounds,
            "process_sd": _number(row.process_sd),
            "round_sd": _number(row.round_sd),
            **_interval("times_fastest", times.get(str(cell)), "ratio"),
            **({"times_fastest": 1.0} if str(cell) == fastest else {}),
            "times_floor": _value(floor.get(cell), "times_best_floor"),
            "first_step_cold_s": _value(first.get(cell), "cold_s"),
            "first_step_warm_s": _value(first.get(cell), "warm_s"),
            **_interval("test_rmse", rmse.get(cell), "mean"),
            **_interval("test_metric", metric.get(cell), "mean"),
            **_interval("time_to_target_s", target.get(cell), "typical_s", "ci95_s"),
        }
        for row in report.step_time
    ]


def ratios(report: Report) -> list[Row]:
    """Return one row a pair of cells: how many times longer a step of `a` takes than one of `b`."""
    return [{"a": row.a, "b": row.b, **_interval("ratio", row, "ratio"), "pairs": row.pairs} for row in report.ratios]


def epochs(report: Report) -> list[Row]:
    """Return one row an epoch of each process's training: `train_rmse` as `fit` reports it, epochs from 1.

    `test_rmse` is that of the last epoch, NaN before. For a custom workload both are NaN, and `train_metric` and
    `test_metric` hold its metric; with a target, `test_metric` is there after each epoch.
    """
    return [
        {
            **_process(run),
            "epoch": epoch,
            "train_rmse": _number(rmse),
            "test_rmse": _number(run.test_rmse if epoch == len(run.train_rmse) else None),
            "train_metric": _number(metric),
            "test_metric": _number(_tested(run, epoch)),
        }
        for run in report.runs
        for epoch, (rmse, metric) in enumerate(zip_longest(run.train_rmse, run.train_metric), start=1)
    ]


def parity(report: Report) -> list[Row]:
    """Return one row a pair and stage: how far the two lie apart, beside what rounding explains.

    `broken` says that it counts against the pair: outside, not a known deviation, and in float32.
    """
    return [
        {
            "a": row.a,
            "b": row.b,
            "stage": row.stage,
            "rms": _number(row.rms),
            "max_abs": _number(row.max_abs),
            "envelope": row.envelope,
            "verdict": row.verdict,
            "known": row.known or "",
            "broken": breaks_parity(row),
        }
        for row in report.parity
    ]


def comparison(found: Comparison) -> list[Row]:
    """Return one row a cell of a comparison: both step times, their ratio with its interval, and the verdicts."""
    rmse, metric = ({row.cell: row for row in rows} for rows in (found.rmse, found.metrics))
    return [
        {
            "cell": row.cell,
            "base_ms": row.base.median_ms,
            "new_ms": row.new.median_ms,
            **_interval("ratio", row, "ratio"),
            "verdict": row.verdict,
            "regression": row.regression,
            **_interval("rmse_difference", rmse.get(row.cell), "difference"),
            "rmse_verdict": getattr(rmse.get(row.cell), "verdict", ""),
            **_interval("metric_difference", metric.get(row.cell), "difference"),
            "metric_verdict": getattr(metric.get(row.cell), "verdict", ""),
        }
        for row in found.step_time
    ]


def _process(run: Run) -> Row:
    return {**_named(run.cell), "process": run.process, "seed": run.seed}


def _named(cell: Cell) -> Row:
    return {"cell": str(cell), "backend": cell.backend, "device": cell.device, "loop": cell.loop}


def _tested(run: Run, epoch: int) -> float | None:
    if run.test_metric_by_epoch:
        return run.test_metric_by_epoch[epoch - 1]
    return run.test_metric if epoch == len(run.train_metric) else None


def _by_cell(rows: Iterable[Derived]) -> dict[Cell, Derived]:
    return {row.cell: row for row in rows}


def _interval(name: str, row: object, value: str, ends: str = "ci95") -> Row:
    """Return a number of a row that may be absent, and the ends of its interval; NaN where there is none."""
    low, high = getattr(row, ends, None) or (NAN, NAN)
    return {name: _value(row, value), f"{name}_low": low, f"{name}_high": high}


def _number(value: float | None) -> float:
    return NAN if value is None else float(value)


def _value(row: object, name: str) -> float:
    """Return a number of a row that may be absent, NaN then."""
    return _number(getattr(row, name, None))
