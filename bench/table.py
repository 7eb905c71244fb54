"""A report on the terminal."""

from __future__ import annotations

import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.report import Cell, Report, Run, StepTime
from bench.summary import headline


def print_report(report: Report, directory: Path, console: Console) -> None:
    """Prints the answer, a table of the cells, and what is missing or out of parity."""
    if report.step_time:
        console.print(_table(report))
    console.print(headline(report), highlight=False, markup=False)
    for line in _not_measured(report):
        console.print(line, highlight=False, markup=False)
    console.print(f"Report: {directory}", highlight=False, markup=False)


def format_interval(ci95: tuple[float, float] | None, digits: int) -> str:
    """Returns `[low, high]`, or nothing where there is no interval."""
    return "" if ci95 is None else f"[{ci95[0]:.{digits}f}, {ci95[1]:.{digits}f}]"


def _table(report: Report) -> Table:
    workload = report.workload
    table = Table(title=f"{workload.dataset} ({workload.source}), batch {workload.batch_size}, 95 % intervals")
    table.add_column("Backend")
    for name in ("Step, ms", "× fastest", "First step, s", "Import, s", "Test RMSE", "Memory, MiB", "Processes"):
        table.add_column(name, justify="right")
    fastest = report.step_time[0]
    for row in report.step_time:
        table.add_row(*_row(report, row, fastest))
    return table


def _row(report: Report, row: StepTime, fastest: StepTime) -> list[str]:
    cell = Cell(backend=row.backend, device=row.device, loop=row.loop)
    runs = [run for run in report.runs if run.cell == cell]
    return [
        str(cell),
        f"{row.median_ms:.3f} {format_interval(row.ci95_ms, 3)}",
        _times_fastest(report, str(cell), row, fastest),
        _typical(runs, "first_step_s", 2),
        _typical(runs, "import_s", 1),
        next(
            (f"{rmse.mean:.4f}" for rmse in report.rmse if (rmse.backend, rmse.device, rmse.loop) == _names(cell)), "–"
        ),
        _typical(runs, "peak_rss_mib", 0),
        f"{row.processes} × {row.rounds // row.processes}",
    ]


def _times_fastest(report: Report, cell: str, row: StepTime, fastest: StepTime) -> str:
    if row is fastest:
        return "1"
    names = {cell, f"{fastest.backend}/{fastest.device}/{fastest.loop}"}
    for ratio in report.ratios:
        if {ratio.a, ratio.b} == names:
            return f"{ratio.ratio:.2f} {format_interval(ratio.ci95, 2)}"
    return "–"


def _typical(runs: list[Run], name: str, digits: int) -> str:
    values = [value for run in runs if (value := getattr(run, name)) is not None]
    return f"{statistics.median(values):.{digits}f}" if values else "–"


def _names(cell: Cell) -> tuple[str, str, str]:
    return cell.backend, cell.device, cell.loop


def _not_measured(report: Report) -> list[str]:
    """Returns one line for each cell and reason."""
    lines: dict[str, None] = {}
    for run in report.runs:
        if run.status != "ok":
            who = f"{run.cell}" if run.status == "skipped" else f"{run.cell} process {run.process}"
            log = f" (log: {run.log})" if run.log and run.status not in ("skipped", "interrupted") else ""
            lines[f"{who}: {run.status}: {run.error}{log}"] = None
    return list(lines)
