"""What the reports of a sweep's points say, one cell at a time."""

from __future__ import annotations

from collections.abc import Sequence

from bench.schema.cell import Cell
from bench.schema.report import Report
from bench.schema.run import Run
from bench.statistics.cost_model import fit_cost
from bench.studies.sweep.axes import Over, Point, size_of
from bench.studies.sweep.records import CellModel, Measured


def measured_at(point: Point, cell: Cell, report: Report | None, refusal: str | None) -> Measured:
    """Return the result of one cell at one point.

    Args:
        point: of the sweep.
        cell: of it.
        report: of the point; None where nothing was measured there.
        refusal: why the cell was not started there; None where it may be.
    """
    runs = [] if report is None else [run for run in report.runs if run.cell == cell]
    error, status = _what_is_missing(runs, refusal)
    row = None if report is None else next((row for row in report.step_time if row.cell == cell), None)
    if row is None:
        return Measured(value=point.value, cell=cell, error=error, error_status=status)
    return Measured(
        value=point.value,
        cell=cell,
        step_time_ms=row.median_ms,
        ci95_ms=row.ci95_ms,
        processes=row.processes,
        examples_per_s=1000 * point.batch_size / row.median_ms,
        peak_rss_mib=max((run.peak_rss_mib for run in runs if run.peak_rss_mib is not None), default=None),
        peak_device_mib=max((run.peak_device_mib for run in runs if run.peak_device_mib is not None), default=None),
        unsteady=sum(run.steady is False for run in runs),
        error=error,
        error_status=status,
    )


def models_of(over: Over, cells: Sequence[Cell], measured: Sequence[Measured]) -> list[CellModel]:
    """Return the cost model of each cell."""
    models = []
    for cell in cells:
        curve = [
            (size_of(over, one.value), one.step_time_ms)
            for one in measured
            if one.cell == cell and one.step_time_ms is not None
        ]
        models.append(CellModel(cell=cell, model=fit_cost([x for x, _ in curve], [t for _, t in curve])))
    return models


def _what_is_missing(runs: Sequence[Run], refusal: str | None) -> tuple[str | None, str | None]:
    if (run := next((run for run in runs if run.status != "ok"), None)) is not None:
        return f"process {run.process}: {run.error}", run.status
    if not runs:
        return refusal or "not measured yet", "skipped" if refusal else "interrupted"
    return None, None
