"""The figures of sweeps, scorings, planted faults, and of several reports together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.comparison.history import Group
from bench.page.charts import scale, scoring, trend
from bench.page.charts.look import Look
from bench.page.figure import Figure
from bench.page.tables import Table, cell_name, cell_row, ends
from bench.report.view import View
from bench.schema.cell import cell_named
from bench.studies.mutants.records import Mutants
from bench.studies.mutants.table import stage_groups, summary_lines, worst_stage
from bench.studies.score.records import ScoreReport
from bench.studies.score.table import scaled
from bench.studies.sweep.records import Sweep
from bench.studies.sweep.table import sweep_lines
from bench.text.numbers import three_digits, with_interval


def sweep_figures(key: str, sweep: Sweep, look: Look) -> Iterator[Figure]:
    """Yield the figures of step time and memory over the size."""
    over, measured = sweep.settings.over, [one for one in sweep.measured if one.step_time_ms is not None]
    rows = [
        (
            (f"{one.value:,}", name, three_digits(one.step_time_ms), ends(one.ci95_ms, ".3g"), one.processes, peak),
            [str(one.cell)],
        )
        for one in measured
        for name, peak in [(cell_name(one.cell, look.names), three_digits(scale.peak_mib(one)))]
    ]
    table = Table((over, "Cell", "Step time, ms", "95 % interval, ms", "Processes", "Peak memory, MiB"), rows)
    yield Figure(
        key=f"{key}-time",
        title=f"Step time over {over}",
        note="A mark is the median over processes, its bar the 95 % interval (cut where it reaches further than three "
        "times the median). A solid line is the fitted cost model; a dotted one joins points that it does not fit.",
        description=f"Step time over {over}. {' '.join(sweep_lines(sweep))}",
        chart=scale.sweep_time_chart(sweep, look) if measured else None,
        table=table,
    )
    peaks = [value for one in measured if (value := scale.peak_mib(one)) is not None]
    yield Figure(
        key=f"{key}-memory",
        title=f"Memory over {over}",
        note="The highest memory of a worker process, on a GPU of its memory.",
        description=f"Peak memory over {over}: from {min(peaks):,.0f} to {max(peaks):,.0f} MiB." if peaks else "None.",
        chart=scale.sweep_memory_chart(sweep, look) if peaks else None,
    )


def scoring_figure(key: str, report: ScoreReport, look: Look) -> Figure:
    """Return the figure of how fast the best movies of all users are found."""
    rows = [
        (
            (
                line.cell,
                with_interval(line.pairs_per_s / 1e6, scaled(line.pairs_ci95)),
                three_digits(line.users_per_s),
                with_interval(line.times_floor, line.times_floor_ci95),
                with_interval(line.gain, line.gain_ci95),
            ),
            [str(cell_named(line.cell))],
        )
        for line in report.throughput
    ]
    header = ("Backend", "Million pairs/s [95 %]", "Users/s", "× floor [95 %]", "× Keras's predict [95 %]")
    said = [f"{values[0]} {values[1]}" for values, _ in rows]
    settings = report.settings
    return Figure(
        key=f"{key}-pairs",
        title=f"Scoring: top {settings.k} of {settings.num_movies:,} movies for {settings.num_users:,} users",
        note="Pairs of a user and a movie scored a second; further right is faster. A dot is one process, the bar the "
        "95 % interval.",
        description=f"Million pairs scored a second: {'; '.join(said) or 'none measured'}.",
        chart=scoring.scoring_chart(report, look) if rows else None,
        table=Table(header, rows),
        wide=True,
    )


def mutants_figure(key: str, result: Mutants, look: Look) -> Figure:
    """Return the figure of the stages at which each planted fault is seen."""
    groups = stage_groups(result)
    rows = []
    for fault in result.faults:
        found = [worst_stage(fault.stages, group) for group in groups]
        ratios = ["–" if one is None or one.ratio is None else f"{one.ratio:.2g}" for one in found]
        seen = fault.first.group if fault.first else "not to be seen" if fault.invisible else "NOT FOUND"
        rows.append(((fault.name, fault.what, seen, *ratios), ()))
    return Figure(
        key=f"{key}-faults",
        title=f"Planted faults, trained by {result.backend}",
        note="Red is outside what rounding explains, the darker the further; grey is within it. Every training has one "
        "fault, planted on purpose.",
        description=f"Where planted faults are seen: {' '.join(f'{line}.' for line in summary_lines(result))}",
        chart=scoring.mutants_chart(result, look) if rows else None,
        table=Table(("Fault", "What it does", "Seen first at", *groups), rows),
        wide=True,
    )


def side_by_side_figure(views: Sequence[View], look: Look) -> Figure:
    """Return the figure of the step times of several reports."""
    rows = [
        cell_row(look.names, cell, view.name, three_digits(row.median_ms), ends(row.ci95_ms, ".4g"))
        for cell in look.cells
        for view in views
        for row in view.summary.step_time
        if row.cell == cell
    ]
    said = [f"{values[0]} in {values[1]} {values[2]}" for values, _ in rows]
    return Figure(
        key="together-step-time",
        title="Step time in all reports",
        note="A mark is a cell's median, the bar its 95 % interval. Reports were measured at different times, and a "
        "machine drifts: python -m bench compare judges two of them.",
        description=f"Step time in ms: {'; '.join(said) or 'none measured'}.",
        chart=trend.side_by_side_chart(views, look) if rows else None,
        table=Table(("Cell", "Report", "Median, ms", "95 % interval, ms"), rows),
        wide=True,
    )


def trend_figures(key: str, groups: Sequence[Group], look: Look, *, apart: bool) -> Iterator[Figure]:
    """Yield figures of step times in order of time, of each group with at least two reports.

    Args:
        key: key that is unique on the page.
        groups: groups of reports that compare.
        look: look of the page.
        apart: whether each cell has a plot of its own, also with one report.
    """
    for number_, group in enumerate(groups):
        longest = max(len(series.points) for series in group.series)
        if not apart and longest < 2:
            continue
        parts = [[series] for series in group.series] if apart else [group.series]
        for place, series in enumerate(parts):
            rows = [
                cell_row(
                    look.names,
                    cell_named(each.cell),
                    point.created,
                    point.name,
                    with_interval(point.step_time.median_ms, point.step_time.ci95_ms),
                    "–" if (score := point.rmse or point.metric) is None else f"{score.mean:.5f}",
                    "" if point.change is None else f"× {point.change:.3f}",
                    "; ".join(point.changes),
                )
                for each in series
                for point in each.points
            ]
            header = ("Cell", "Measured", "Report", "ms/step [95 %]", "Test RMSE or metric", "Change",
                      "Changed before it")  # fmt: skip
            name = cell_name(cell_named(series[0].cell), look.names)
            yield Figure(
                key=f"{key}{number_}-{place}",
                title=f"Step time of {name}" if apart else "Step time over time",
                note="A mark is one report, its bar the 95 % interval, a line the level between changes."
                + ("" if apart else f" {group.title}."),
                description=" ".join(trend.in_words(each) for each in series),
                chart=trend.trend_chart(series, look),
                table=Table(header, rows),
                wide=not apart,
            )
