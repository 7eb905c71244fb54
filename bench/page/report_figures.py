"""The figures of one report, in the order in which a reader asks: how fast, how good, the same model, at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.charts import quality, speed
from bench.charts.look import Look
from bench.formatting import listed, with_interval
from bench.metric_summary import metric_label
from bench.page.figure import Figure
from bench.page.tables import Table, cell_name, decimals, ends, estimate, number, small
from bench.parity_groups import group_of, worst_by_group
from bench.report import Cell, Report
from bench.run_scores import epoch_scores, final_scores, mean_scores
from bench.summary import Summary, cell_named, cell_of, process_medians

INTERVAL = (
    "The bar is the 95 % interval of the cell's typical step time. It rests on processes, not rounds, because "
    "identical processes differ by more than their rounds tell."
)


def report_figures(key: str, report: Report, summary: Summary, look: Look) -> Iterator[Figure]:
    """Yields what there is data for.

    Args:
        key: of the report on the page.
        report: to show.
        summary: of its runs.
        look: of the page.
    """
    yield _step_time(key, report, summary, look)
    yield _final(key, report, look)
    yield _epochs(key, report, look)
    yield _parity(key, report, look)
    if report.time_to_target:
        yield _time_to_target(key, report, look)
    if report.floors:
        yield _floor(key, report, look)
    if any(run.import_s is not None for run in report.runs):
        yield _phases(key, report, look)


def _step_time(key: str, report: Report, summary: Summary, look: Look) -> Figure:
    medians = process_medians(report.runs)
    rows = [
        (
            (
                cell_name(cell_of(row), look.names),
                number(row.median_ms),
                "one process, no interval" if row.ci95_ms is None else ends(row.ci95_ms, ".4g"),
                ", ".join(number(value) for value in medians[cell_of(row)].values()),
                row.rounds,
            ),
            [str(cell_of(row))],
        )
        for row in summary.step_time
    ]
    said = [
        f"{cell_name(cell_of(row), look.names)} {with_interval(row.median_ms, row.ci95_ms)}"
        for row in summary.step_time
    ]
    return Figure(
        key=f"{key}-step-time",
        title="Step time",
        note=f"A dot is one process, the tick their median; further left is faster. {INTERVAL}",
        description=f"Step time in ms by cell, with 95 % intervals: {'; '.join(said) or 'none measured'}.",
        chart=speed.step_time_chart(report, look) if rows else None,
        table=Table(("Cell", "Median, ms", "95 % interval, ms", "Each process, ms", "Rounds"), rows),
    )


def _final(key: str, report: Report, look: Look) -> Figure:
    name, ends_at = metric_label(report.workload), final_scores(report)
    beside = {(row.backend, row.device, row.loop): row for row in report.reference_rmse}
    rows = []
    for row in mean_scores(report):
        cell = cell_of(row)
        oracle = beside.get((row.backend, row.device, row.loop))
        rows.append(
            (
                (
                    cell_name(cell, look.names),
                    decimals(row.mean, 5),
                    ends(row.ci95, ".5f"),
                    row.seeds,
                    ", ".join(f"{value:.5f}" for _, value in ends_at.get(cell, [])),
                    "–" if oracle is None else f"{oracle.difference:+.1e} {ends(oracle.ci95, '+.1e')}",
                    "–" if oracle is None or oracle.verdict is None else oracle.verdict,
                ),
                [str(cell)],
            )
        )
    said = [f"{cell_name(cell_of(row), look.names)} {row.mean:.4f}" for row in mean_scores(report)]
    header = ("Cell", f"Mean {name}", "95 % interval", "Seeds", "Each process", "Minus the oracle's", "Verdict")
    grey = " Grey: where 95 % of the float64 oracle's means lie, dashed its mean." if report.reference_rmse else ""
    return Figure(
        key=f"{key}-final",
        title=f"{name} at the end",
        note=f"A dot is one process, the tick the mean over seeds, the bar its 95 % interval.{grey} Seeds scatter more "
        "than backends, so compare dots of equal seeds.",
        description=f"Test {name} after the last epoch: {'; '.join(said) or 'none measured'}.",
        chart=quality.final_chart(report, look) if rows else None,
        table=Table(header, rows),
    )


def _epochs(key: str, report: Report, look: Look) -> Figure:
    name, found = metric_label(report.workload), epoch_scores(report)
    longest = max((len(values) for _, values in found), default=0)
    rows = [
        (
            (cell_name(run.cell, look.names), run.process, run.seed, *(f"{value:.5f}" for value in values),
             *("–" for _ in range(longest - len(values)))),
            [str(run.cell)],
        )
        for run, values in found
    ]  # fmt: skip
    first, last = ([values[place] for _, values in found] for place in (0, -1))
    said = (
        f"from {min(first):.4f} to {max(first):.4f} after the first epoch, from {min(last):.4f} to {max(last):.4f} "
        "after the last"
        if found
        else "none measured"
    )
    return Figure(
        key=f"{key}-epochs",
        title=f"{name} over epochs",
        note=f"Training {name}, a line for each process. From one seed's initial weights all cells take the same way, "
        "so their marks stand side by side.",
        description=f"Training {name} over epochs: {said}.",
        chart=quality.epochs_chart(report, look) if rows else None,
        table=Table(("Cell", "Process", "Seed", *(f"Epoch {place + 1}" for place in range(longest))), rows),
    )


def _parity(key: str, report: Report, look: Look) -> Figure:
    rows = [
        (
            (r.a, r.b, r.stage, small(r.rms), small(r.max_abs), small(r.envelope), r.verdict, r.known or ""),
            [str(cell_named(name)) for name in (r.a, r.b)],
        )
        for r in worst_by_group(report.parity)
    ]
    outside = [result for result in report.parity if result.verdict == "outside"]
    known = sum(result.known is not None for result in outside)
    stages = list(dict.fromkeys(group_of(result.stage) for result in outside))
    said = f"{len(outside)} of {len(report.parity)} comparisons are outside, {known} of them understood"
    if stages:
        said += f"; at the stages {listed(stages)}"
    header = ("A", "B", "Stage", "RMS", "Largest", "Rounding envelope", "Verdict", "Known deviation")
    return Figure(
        key=f"{key}-parity",
        title="Parity by stage",
        note="How far trainings from the same weights lie apart, 1 being all that rounding explains (dashed). A mark "
        "is a cell beside the float64 oracle, a thin stroke two cells; a solid ring is outside, a dashed one an "
        "understood deviation.",
        description=f"Distances between trainings by stage, as a share of what rounding explains: {said}.",
        chart=quality.parity_chart(report, look) if rows else None,
        table=Table(header, rows),
        table_title="The same as a table (of a stage's weights the one furthest out; all are in report.json)",
    )


def _time_to_target(key: str, report: Report, look: Look) -> Figure:
    records = report.time_to_target
    rows, never = [], []
    for row in records:
        cell = Cell(backend=row.backend, device=row.device, loop=row.loop)
        epochs = [f"{each}" if each is not None else "never" for each in row.epochs]
        reached = f"{row.reached} of {row.processes}"
        rows.append(
            (
                (cell_name(cell, look.names), estimate(row.typical_s, row.ci95_s), reached, ", ".join(epochs)),
                [str(cell)],
            )
        )
        if row.reached < row.processes:
            never.append(f"{cell_name(cell, look.names)} {row.processes - row.reached} of {row.processes}")
    said = [f"{values[0]} {values[1]} s" for values, _ in rows]
    left_out = " Processes that never got there are not in it; the table tells how many." if never else ""
    return Figure(
        key=f"{key}-target",
        title=f"Training until test RMSE {records[0].target:g}",
        note=f"Seconds of training at steady speed, starting and evaluating left out, with 95 % intervals.{left_out}",
        description=f"Seconds of training until the test RMSE is at the target: {'; '.join(said)}. "
        f"Never reached: {'; '.join(never) or 'none'}.",
        chart=speed.time_to_target_chart(report, look) if any(r.typical_s is not None for r in records) else None,
        table=Table(("Cell", "Seconds [95 %]", "Processes that got there", "Epochs needed, by process"), rows),
    )


def _floor(key: str, report: Report, look: Look) -> Figure:
    rows = [
        (
            (
                cell_name(row.cell, look.names),
                estimate(row.times_best_floor, row.times_best_floor_ci95),
                number(row.best_floor_ms),
                row.best_bound,
                estimate(row.times_floor, row.times_floor_ci95),
            ),
            [str(row.cell)],
        )
        for row in report.floors
    ]
    said = [f"{values[0]} {values[1]}" for values, _ in rows]
    return Figure(
        key=f"{key}-floor",
        title="Step time over its floor",
        note="1 (dashed) is the least time that this device needs for the step's arithmetic and memory traffic, by the "
        "best rates that any framework reached on it. Bars are 95 % intervals.",
        description=f"Step time over the least that the device needs: {'; '.join(said)}.",
        chart=speed.floor_chart(report.floors, look),
        table=Table(("Cell", "× floor [95 %]", "Floor, ms", "Bound by", "× floor of its own framework [95 %]"), rows),
    )


def _phases(key: str, report: Report, look: Look) -> Figure:
    found = speed.phases(report.runs)
    rows = [
        (
            (cell_name(cell, look.names), *(number(of_cell.get(name)) for name in speed.PHASE_NAMES),
             number(sum(of_cell.values()))),
            [str(cell)],
        )
        for cell, of_cell in found.items()
    ]  # fmt: skip
    said = [f"{values[0]} {values[-1]} s" for values, _ in rows]
    header: Sequence[str] = ("Cell", *(f"{name}, s" for name in speed.PHASE_NAMES.values()), "sum, s")
    return Figure(
        key=f"{key}-phases",
        title="Phases of a run",
        note=f"From starting Python to the first predictions, {report.workload.epochs} epochs of training; the first "
        "step is with tracing and compilation and found nothing compiled. Warm-up and timed rounds are left out.",
        description=f"Seconds of a run from start to predictions: {'; '.join(said)}.",
        chart=speed.phases_chart(report, look),
        table=Table(header, rows),
    )
