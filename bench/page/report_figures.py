"""The figures of one report, in the order in which a reader asks: how fast, how good, the same model, at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from bench.page.charts import quality, speed
from bench.page.charts.look import Look
from bench.page.cost_figures import cost_figures
from bench.page.figure import Figure
from bench.page.tables import Table, cell_name, cell_row, decimals, ends, small
from bench.page.thinning import drawn_curves, drawn_parity
from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.cell import cell_named
from bench.schema.parity import group_of
from bench.schema.report import Report
from bench.text.numbers import listed, three_digits, with_interval

THINNED = " (not all are drawn, as the top of the page says)"
INTERVAL = (
    "The bar is the 95 % interval of the cell's typical step time. It rests on processes, not rounds, because "
    "identical processes differ by more than their rounds show."
)


def report_figures(key: str, view: View, look: Look, *, thin: bool) -> Iterator[Figure]:
    """Yield the figures that there is data for.

    Args:
        key: key of the report on the page.
        view: report to show.
        look: look of the page.
        thin: whether to draw less than all (`bench.page.thinning`).
    """
    yield _step_time(key, view, look, thin)
    yield _final(key, view, look, thin)
    yield _epochs(key, view.report, look, thin)
    yield _parity(key, view.report, look, thin)
    yield from cost_figures(key, view.report, look)


def _step_time(key: str, view: View, look: Look, thin: bool) -> Figure:
    step_time = view.summary.step_time
    rows = [
        cell_row(
            look.names,
            row.cell,
            three_digits(row.median_ms),
            "one process, no interval" if row.ci95_ms is None else ends(row.ci95_ms, ".4g"),
            ", ".join(three_digits(value) for value in view.medians[row.cell].values()),
            row.rounds,
        )
        for row in step_time
    ]
    said = [f"{cell_name(row.cell, look.names)} {with_interval(row.median_ms, row.ci95_ms)}" for row in step_time]
    return Figure(
        key=f"{key}-step-time",
        title="Step time",
        note=f"A dot is one process, the tick their median; further left is faster. {INTERVAL}",
        description=f"Step time in ms by cell, with 95 % intervals: {'; '.join(said) or 'none measured'}.",
        chart=speed.step_time_chart(view, look, thin=thin) if rows else None,
        table=Table(("Cell", "Median, ms", "95 % interval, ms", "Each process, ms", "Rounds"), rows),
    )


def _final(key: str, view: View, look: Look, thin: bool) -> Figure:
    report, scores, name = view.report, view.summary.scores, metric_label(view.report.workload)
    beside = {row.cell: row for row in report.reference_rmse}
    rows = []
    for row in scores:
        cell, oracle = row.cell, beside.get(row.cell)
        each = ", ".join(f"{value:.5f}" for _, value in view.final_scores.get(cell, []))
        difference = "–" if oracle is None else f"{oracle.difference:+.1e} {ends(oracle.ci95, '+.1e')}"
        verdict = "–" if oracle is None or oracle.verdict is None else oracle.verdict
        figures = (decimals(row.mean, 5), ends(row.ci95, ".5f"), row.seeds, each, difference, verdict)
        rows.append(cell_row(look.names, cell, *figures))
    said = [f"{cell_name(row.cell, look.names)} {row.mean:.4f}" for row in scores]
    header = ("Cell", f"Mean {name}", "95 % interval", "Seeds", "Each process", "Minus the oracle's", "Verdict")
    grey = " Grey: where 95 % of the float64 oracle's means lie, dashed its mean." if report.reference_rmse else ""
    return Figure(
        key=f"{key}-final",
        title=f"{name} at the end",
        note=f"A dot is one process, the tick the mean over seeds, the bar its 95 % interval.{grey} Seeds scatter more "
        "than backends, so compare dots of equal seeds.",
        description=f"Test {name} after the last epoch: {'; '.join(said) or 'none measured'}.",
        chart=quality.final_chart(view, look, thin=thin) if rows else None,
        table=Table(header, rows),
    )


def _epochs(key: str, report: Report, look: Look, thin: bool) -> Figure:
    name, found = metric_label(report.workload), drawn_curves(report, thin=thin)
    thinned = "" if found == drawn_curves(report, thin=False) else THINNED
    epochs = sorted({epoch for _, scores in found for epoch in scores})
    rows = [
        cell_row(look.names, run.cell, run.process, run.seed, *(decimals(scores.get(epoch), 5) for epoch in epochs))
        for run, scores in found
    ]
    first, last = ([list(scores.values())[place] for _, scores in found] for place in (0, -1))
    said = (
        f"from {min(first):.4f} to {max(first):.4f} after the first epoch, from {min(last):.4f} to {max(last):.4f} "
        "after the last"
        if found
        else "none measured"
    )
    return Figure(
        key=f"{key}-epochs",
        title=f"{name} over epochs",
        note=f"Training {name}, a line for each process{thinned}. From one seed's initial weights all cells take the "
        "same way, so their marks stand side by side.",
        description=f"Training {name} over epochs: {said}.",
        chart=quality.epochs_chart(found, name, look) if rows else None,
        table=Table(("Cell", "Process", "Seed", *(f"Epoch {epoch}" for epoch in epochs)), rows),
    )


def _parity(key: str, report: Report, look: Look, thin: bool) -> Figure:
    drawn = drawn_parity(report, thin=thin)
    thinned = "" if drawn == drawn_parity(report, thin=False) else THINNED
    rows = [
        (
            (r.a, r.b, r.stage, small(r.rms), small(r.max_abs), small(r.envelope), r.verdict, r.known or ""),
            [str(cell_named(name)) for name in (r.a, r.b)],
        )
        for r in drawn
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
        f"is a cell beside the float64 oracle, a thin stroke two cells{thinned}; a solid ring is outside, a dashed one "
        "an understood deviation.",
        description=f"Distances between trainings by stage, as a share of what rounding explains: {said}.",
        chart=quality.parity_chart(drawn, look) if rows else None,
        table=Table(header, rows),
        table_title="The same as a table (of a stage's weights the one furthest out; all are in report.json)",
    )
