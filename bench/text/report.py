"""A report on the terminal, in 80 columns."""

from __future__ import annotations

import statistics
from pathlib import Path

from rich.console import Console

from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.cell import FULL, Cell, full_precision, precision_of, short_names
from bench.schema.derived import StepTime
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.caveats import caveats
from bench.text.cell_rounding import cell_rounding_lines, cell_rounding_table
from bench.text.convergence import first_step_lines, reference_rmse_lines, time_to_target_lines
from bench.text.headline import headline
from bench.text.numbers import three_digits, with_interval
from bench.text.profile import print_profiles
from bench.text.reduced import relative_words
from bench.text.table import FittingTable


def print_report(report: Report, directory: Path, console: Console) -> None:
    """Print the answer, a table of the cells, and what is missing or out of parity."""
    view = View(report)
    names = view.names
    if report.step_time:
        console.print(_table(report))
    console.print(headline(view))
    if (table := cell_rounding_table(report, names)) is not None:
        console.print(table)
    converged = [
        *time_to_target_lines(report.time_to_target, names, metric_label(report.workload)),
        *reference_rmse_lines(report.reference_rmse, names),
    ]
    for line in [
        *first_step_lines(report.first_steps, names),
        *converged,
        *cell_rounding_lines(report, names),
        *_not_measured(report),
    ]:
        console.print(line)
    print_profiles(report.profiles, names, console)
    for line in caveats(report):
        console.print(line)
    console.print(f"Report: {directory}", soft_wrap=True)


def _table(report: Report) -> FittingTable:
    cells = [row.cell for row in report.step_time]
    names = short_names(cells)
    rows = report.step_time
    counts = [row.processes for row in rows]
    full = [full_precision(cell) for cell in cells]
    loop = f", {full[0].loop}" if len({cell.loop for cell in full}) == 1 else ""
    shared = f"{loop} on the {cells[0].device}" if len({cell.device for cell in cells}) == 1 else loop
    table = FittingTable(
        title=f"{report.workload.dataset}, batch {report.workload.batch_size}{shared}; "
        f"95 % intervals over {min(counts)} processes" + (" or more" if min(counts) < max(counts) else ""),
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    base = next((cell for cell in cells if precision_of(cell) == FULL), cells[0])
    over_base = "× fastest" if base == cells[0] else f"× {names[str(base)]}"
    metric = metric_label(report.workload).replace("_", "\n")
    for name in ("ms/step", over_base, "×\nfloor", "1st\nstep", metric, "MiB"):
        # A wide interval may take a second line; a figure that is cut off says nothing.
        table.add_column(name, justify="right", no_wrap=name not in ("ms/step", over_base))
    for cell, row in zip(cells, rows, strict=True):
        table.add_row(names[str(cell)], *_figures(report, cell, row, base))
    return table


def _figures(report: Report, cell: Cell, row: StepTime, base: Cell) -> list[str]:
    runs = [run for run in report.runs if run.cell == cell]
    scores = {row.cell: row.mean for row in report.rmse} | {row.cell: row.mean for row in report.metrics}
    return [
        with_interval(row.median_ms, row.ci95_ms),
        relative_words(report.ratios, cell, base),
        next((three_digits(floor.times_best_floor) for floor in report.floors if floor.cell == cell), "–"),
        _typical([run for run in runs if run.compile_cache != "warm"], "first_step_s", 2, " s"),
        f"{scores[cell]:.4f}" if cell in scores else "–",
        _typical(runs, "peak_rss_mib", 0),
    ]


def _typical(runs: list[Run], name: str, digits: int, unit: str = "") -> str:
    values = [value for run in runs if (value := getattr(run, name)) is not None]
    return f"{statistics.median(values):.{digits}f}{unit}" if values else "–"


def _not_measured(report: Report) -> list[str]:
    """Return one line for each cell and reason."""
    lines: dict[str, None] = {}
    for run in report.runs:
        if run.status != "ok":
            log = f" (log: {run.log})" if run.log and run.status not in ("skipped", "interrupted") else ""
            lines[f"{run.name}: {run.status}: {run.error}{log}"] = None
    return list(lines)
