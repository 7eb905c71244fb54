"""Two files: reports of this program or pytest-benchmark's."""

from __future__ import annotations

from pathlib import Path

from bench.comparison.drift import ASSUMED, Drift, measured_drift
from bench.comparison.limits import Limits
from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.report.file import load_report


def compare_files(
    base: Path,
    new: Path,
    limits: Limits,
    *,
    force: bool = False,
    ignore_noise: bool = False,
    cells: tuple[str, str] | None = None,
    drift: Drift = ASSUMED,
    validation: Path | None = None,
) -> Comparison:
    """Compares two reports, or two of pytest-benchmark's JSON files or folders of them.

    Args:
        base: report directory or file, or pytest-benchmark's.
        new: likewise; of the same kind.
        limits: what is still fine.
        force: compare times even where workload, machine or threads differ.
        ignore_noise: decide even where a side was disturbed (`bench.comparison.disturbance`,
            `bench.comparison.benchmarks`).
        cells: the names of one cell of each side to compare with each other; None for those of equal name.
        drift: of the machine between two measurements.
        validation: result of `bench validate` that tells `drift`, for reports.

    Raises:
        BenchError: if a file cannot be read, the two are of different kinds, a side lacks its cell, or a time is
            not positive.
    """
    from bench.comparison.benchmark_files import is_benchmarks, load_benchmarks
    from bench.comparison.benchmarks import compare_benchmarks

    kinds = is_benchmarks(base), is_benchmarks(new)
    if kinds == (True, True):
        if validation is not None:
            raise BenchError("--validation tells the drift of this model's step, not of a benchmark; give --drift")
        return compare_benchmarks(
            load_benchmarks(base),
            load_benchmarks(new),
            limits,
            force=force,
            ignore_noise=ignore_noise,
            names=cells,
            drift=drift,
        )
    if any(kinds):
        reports, benchmarks = (new, base) if kinds[0] else (base, new)
        raise BenchError(
            f"{benchmarks} is of pytest-benchmark and {reports} a report of `bench run`, whose times mean "
            "something else; compare two of a kind"
        )
    older, newer = load_report(base), load_report(new)
    if validation is not None:
        drift = measured_drift(validation, [older.machine, newer.machine])
    return compare_reports(
        older,
        newer,
        max_regression=limits.max_regression,
        rmse_margin=limits.rmse_margin,
        force=force,
        ignore_noise=ignore_noise,
        cells=cells,
        drift=drift,
    )
