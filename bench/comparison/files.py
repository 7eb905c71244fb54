"""Reports, and files of pytest-benchmark, by their paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.comparison.drift import measured_drift
from bench.comparison.limits import NO_ALLOWANCES, USUAL_LIMITS, Allowances, Limits
from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.report.file import load_report
from bench.schema.report import Report


def compare_files(
    base: Path | Report,
    new: Path | Report,
    limits: Limits = USUAL_LIMITS,
    allowances: Allowances = NO_ALLOWANCES,
    cells: tuple[str, str] | None = None,
    validation: Path | None = None,
) -> Comparison:
    """Compare two reports, or two of pytest-benchmark's JSON files or folders of them.

    Args:
        base: the older side: a report, its directory or file, or pytest-benchmark's.
        new: the newer side, of the same kind.
        limits: largest changes that are allowed.
        allowances: differences and noise in spite of which a verdict is given.
        cells: the names of one cell of each side to compare with each other; None for those of equal name.
        validation: result of `bench validate` whose drift replaces that of `allowances`, for reports.

    Raises:
        BenchError: a file cannot be read, the two are of different kinds, a side lacks its cell, or a time is
            not positive.
    """
    from bench.comparison.benchmark_files import is_benchmarks, load_benchmarks
    from bench.comparison.benchmarks import compare_benchmarks

    if isinstance(base, Path) and isinstance(new, Path):
        kinds = is_benchmarks(base), is_benchmarks(new)
        if all(kinds):
            if validation is not None:
                raise BenchError("--validation has the drift of this model's step, not of a benchmark; give --drift")
            return compare_benchmarks(load_benchmarks(base), load_benchmarks(new), limits, allowances, cells)
        if any(kinds):
            reports, benchmarks = (new, base) if kinds[0] else (base, new)
            raise BenchError(
                f"{benchmarks} is of pytest-benchmark and {reports} a report of `bench run`, whose times mean "
                "something else; compare two of a kind"
            )
    older, newer = (side if isinstance(side, Report) else load_report(side) for side in (base, new))
    if validation is not None:
        allowances = replace(allowances, drift=measured_drift(validation, [older.machine, newer.machine]))
    return compare_reports(older, newer, limits, allowances, cells)
