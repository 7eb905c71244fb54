"""pytest-benchmark's JSON, which `pytest-benchmark compare`, github-action-benchmark and `bench compare` read.

A folder has one file a process with its rounds that count, as if a suite had been run once a process: this is what
`bench compare` takes for several processes. A single file has each process's median round in the place of a round, so
that its mean, median and deviation are over processes; it is for tools that take one file.
"""

from __future__ import annotations

import json
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from bench.comparison.benchmark_files import THREADS
from bench.errors import BenchError
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.run import Run


def as_files(reports: Sequence[View]) -> dict[str, str]:
    """Return a file's text by its path: `process-0000.json`, in a folder a report where there are several reports.

    Args:
        reports: at least one.
    """
    files = {}
    for view in reports:
        folder = f"{view.name}/" if len(reports) > 1 else ""
        for process, runs in _by_process(view).items():
            benchmarks = [_benchmark(view, run.cell, rounds, [run]) for run, rounds in runs]
            files[f"{folder}process-{process:04}.json"] = _text(view, benchmarks)
    return files


def as_one_file(reports: Sequence[View]) -> str:
    """Return one file with a benchmark a cell, in which a round is a process's median round.

    Raises:
        BenchError: there are several reports; a file has one machine and one commit.
    """
    if len(reports) > 1:
        raise BenchError("a file of pytest-benchmark is of one machine and commit; give one REPORT, or -o FOLDER")
    (view,) = reports
    benchmarks = []
    for cell, medians in view.medians.items():
        runs = [run for run in view.report.runs if run.cell == cell and run.process in medians]
        benchmarks.append(_benchmark(view, cell, list(medians.values()), runs))
    return _text(view, benchmarks)


def _by_process(view: View) -> dict[int, list[tuple[Run, list[float]]]]:
    """Return by process the runs and their rounds in ms that count; of two of a cell and process the later."""
    counted = {cell: of_cell.rounds for cell, of_cell in view.counted.items()}
    kept = {(run.process, run.cell): run for run in view.report.runs if run.step_time_ms}
    found: dict[int, list[tuple[Run, list[float]]]] = {}
    for (process, cell), run in kept.items():
        if process in counted[cell]:
            found.setdefault(process, []).append((run, counted[cell][process]))
    return dict(sorted(found.items()))


def _benchmark(view: View, cell: Cell, step_time_ms: Sequence[float], runs: Sequence[Run]) -> dict[str, Any]:
    """Return a benchmark whose iteration is a step; facts in which the runs differ are left out."""
    workload = view.report.workload
    names = ("backend", "device", "device_name", "loop", "compile_mode", "process", "seed", "steps_per_round")
    facts: dict[str, Any] = {name: _shared([getattr(run, name) for run in runs]) for name in (*names, "test_rmse")}
    facts |= {"dataset": workload.dataset, "batch_size": workload.batch_size, "processes": len(runs)}
    facts[THREADS] = view.report.settings.threads
    stats = _stats([1e-3 * value for value in step_time_ms])
    stats["iterations"] = facts["steps_per_round"] if len(runs) == 1 and facts["steps_per_round"] else 1
    return {
        "group": f"step on {cell.device}",
        "name": str(cell),
        "fullname": f"movierank-bench/{workload.dataset}::{cell}",
        "params": None,
        "param": None,
        "extra_info": {name: value for name, value in facts.items() if value is not None},
        "options": {},
        "stats": stats,
    }


def _shared(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Return pytest-benchmark's statistics of rounds, by its own definitions (its `Stats`), in seconds an iteration."""
    ordered = sorted(seconds)
    mean = statistics.mean(ordered)
    deviation = statistics.stdev(ordered) if len(ordered) > 1 else 0  # what its table wants of a single round
    q1, q3 = _quartiles(ordered)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    by_deviation = sum(abs(value - mean) > deviation for value in ordered)
    by_quartiles = sum(not low <= value <= high for value in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(ordered),
        "median": statistics.median(ordered),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": by_quartiles,
        "stddev_outliers": by_deviation,
        "outliers": f"{by_deviation};{by_quartiles}",
        "ld15iqr": ordered[bisect_left(ordered, low)],
        "hd15iqr": ordered[bisect_right(ordered, high) - 1],
        "ops": len(ordered) / sum(ordered),
        "total": sum(ordered),
        "data": list(seconds),
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return quartiles as pytest-benchmark does: medians of halves, by methods 2 and 3 of Wikipedia's "Quartile"."""
    if len(ordered) == 1:
        return ordered[0], ordered[0]
    half, odd = divmod(len(ordered), 2)
    if not odd:
        return statistics.median(ordered[:half]), statistics.median(ordered[half:])
    # With 4 n + 1 values the outer of the two neighbours weighs a quarter, with 4 n + 3 three quarters.
    n, rest = divmod(len(ordered), 4)
    if rest == 1:
        return (0.25 * ordered[n - 1] + 0.75 * ordered[n], 0.75 * ordered[3 * n] + 0.25 * ordered[3 * n + 1])
    return (0.75 * ordered[n] + 0.25 * ordered[n + 1], 0.25 * ordered[3 * n + 1] + 0.75 * ordered[3 * n + 2])


def _text(view: View, benchmarks: Sequence[dict[str, Any]]) -> str:
    report = view.report
    version, _, implementation = report.software.python.partition(" ")
    commit = {"id": report.software.git_commit, "dirty": report.software.git_dirty}
    file = {
        "machine_info": {
            "system": report.machine.system.partition("-")[0],
            "release": report.machine.system,
            "python_version": version,
            "python_implementation": implementation,
            "cpu": {"brand_raw": report.machine.cpu_model, "count": report.machine.logical_cores},
        },
        "commit_info": {name: value for name, value in commit.items() if value is not None},
        "benchmarks": list(benchmarks),
        "datetime": report.created,
        "version": "movierank-bench",
    }
    return json.dumps(file, indent=4, allow_nan=False) + "\n"
