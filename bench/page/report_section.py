"""What a page says of one report: its answer, a table of its cells, its figures, its runs and its machine."""

from __future__ import annotations

import shlex

import msgspec

from bench.page.charts.look import Look
from bench.page.figure import Figure
from bench.page.report_figures import report_figures
from bench.page.tables import Table, cell_row, decimals, facts, folded, text
from bench.report.scores import metric_label
from bench.report.summary import Summary
from bench.report.view import View
from bench.schema.report import Report
from bench.text.headline import answer
from bench.text.numbers import three_digits, with_interval
from bench.text.reduced import relative_words

RUN_COLUMNS = {
    "import_s": "Import, s",
    "build_s": "Build, s",
    "first_step_s": "First step, s",
    "train_s": "Train, s",
    "evaluate_s": "Evaluate, s",
    "predict_s": "Predict, s",
    "peak_rss_mib": "Memory, MiB",
    "peak_device_mib": "Device memory, MiB",
}


def answer_html(view: View, key: str) -> str:
    """Return the answer: who is fastest and whether it is the same model first, and the rest below."""
    report, said = view.report, answer(view)
    first, *others = said.speed
    rest = [*others, said.quality, said.failures, *said.reduced]
    warnings = report.conditions.warnings if report.conditions else []
    lines = [f"<li>{text(line)}</li>" for line in rest if line]
    lines += [f'<li class="noise"><strong>Noise:</strong> {text(warning)}</li>' for warning in warnings]
    parted = any(result.verdict == "outside" and result.known is None for result in report.parity)
    judged = "bad" if parted else "good" if report.parity else ""
    return f"""<section class="answer" aria-labelledby="{key}-answer">
<h2 id="{key}-answer"><a href="#{key}">{text(view.name)}</a></h2>
<p class="lead">{text(first)} <span class="{judged}">{text(said.agreement)}</span></p>
{f"<ul>{''.join(lines)}</ul>" if lines else ""}
</section>"""


def report_section(key: str, view: View, look: Look, *, thin: bool) -> tuple[str, list[Figure]]:
    """Return the section, and its figures for the page's script; `thin` as for `report_figures`."""
    name, report = view.name, view.report
    figures = list(report_figures(key, view, look, thin=thin))
    conditions = msgspec.to_builtins(report.conditions) if report.conditions else {}
    machine = [
        ("Machine", msgspec.to_builtins(report.machine)),
        ("Conditions while it ran", {key: value for key, value in conditions.items() if value != []}),
        ("Software", msgspec.to_builtins(report.software)),
        ("Workload", msgspec.to_builtins(report.workload)),
        ("Settings", msgspec.to_builtins(report.settings)),
        ("Measured", {"created": report.created, "finished": report.finished}),
    ]
    plots = "\n".join(figure.as_html() for figure in figures)
    return (
        f"""<section class="report" aria-labelledby="{key}">
<h2 id="{key}">{text(name)}</h2>
<div class="figures">
{plots}
</div>
<h3>All cells</h3>
<p class="note long">A cell is a backend on a device with a loop. In brackets 95 % intervals over processes; with one
process there is none. “× fastest” pairs processes that ran side by side, so that drift of the machine cancels.</p>
{_cells_table(view, look).as_html(f"All cells of {name}")}
<h3>The machine, the ratios and every run</h3>
{"".join(folded(title, facts(values).as_html(title), open_=title == "Machine") for title, values in machine if values)}
{folded("Ratios of step times", _ratio_table(view.summary, look).as_html("Ratios of step times"))}
{folded("Every run", _run_table(report, look).as_html("Every run"))}
</section>""",
        figures,
    )


def left_out_section(key: str, name: str) -> str:
    """Return the section that stands for a report whose plots and tables did not fit on the page."""
    return f"""<section class="report" aria-labelledby="{key}">
<h2 id="{key}">{text(name)}</h2>
<p>Its plots and tables are left out, since the page would be too large with them; its answer is at the top. Give it a
page of its own: <code>python -m bench page {text(shlex.quote(name))} -o FILE.html</code></p>
</section>"""


def _cells_table(view: View, look: Look) -> Table:
    """Return the table of main figures, a line a cell, the fastest first."""
    report, summary = view.report, view.summary
    rmse = {row.cell: row for row in summary.scores}
    floors = {row.cell: row for row in report.floors}
    first = {row.cell: row for row in report.first_steps}
    target = {row.cell: row for row in report.time_to_target}
    rows = []
    for row in summary.step_time:
        cell = row.cell
        floor, step, goal = floors.get(cell), first.get(cell), target.get(cell)
        memory = [run.peak_rss_mib for run, _ in view.final_scores.get(cell, []) if run.peak_rss_mib is not None]
        figures = (
            with_interval(row.median_ms, row.ci95_ms),
            relative_words(summary.ratios, cell, summary.step_time[0].cell),
            with_interval(floor.times_best_floor if floor else None),
            with_interval(goal.typical_s, goal.ci95_s) if goal else "–",
            three_digits(step.cold_s if step else None),
            three_digits(step.warm_s if step else None),
            decimals(rmse[cell].mean, 4) if cell in rmse else "–",
            three_digits(max(memory, default=None)),
            row.processes,
        )
        rows.append(cell_row(look.names, cell, *figures))
    metric = metric_label(report.workload)
    goal_name = f"to {metric} {report.time_to_target[0].target:g}, s" if report.time_to_target else "to target, s"
    header = ["Cell", "ms/step [95 %]", "× fastest [95 %]", "× floor", f"Training {goal_name} [95 %]",
              "First step, cold, s", "First step, warm, s", f"Test {metric}", "Memory, MiB",
              "Processes"]  # fmt: skip
    kept = [place for place in range(len(header)) if place < 2 or any(values[place] != "–" for values, _ in rows)]
    return Table([header[place] for place in kept], [([values[i] for i in kept], about) for values, about in rows])


def _ratio_table(summary: Summary, look: Look) -> Table:
    names = look.names
    rows = [
        (
            (names.get(row.a, row.a), names.get(row.b, row.b), with_interval(row.ratio, row.ci95), row.pairs),
            (row.a, row.b),
        )
        for row in summary.ratios
    ]
    return Table(("Slower", "Faster", "Times as long [95 %]", "Pairs of processes"), rows)


def _run_table(report: Report, look: Look) -> Table:
    rows = [
        cell_row(
            look.names,
            run.cell,
            *(run.process, run.seed, run.status, run.compile_mode or "–", run.compile_cache or "–"),
            ", ".join(three_digits(value) for value in run.step_time_ms) or "–",
            *(three_digits(getattr(run, name)) for name in RUN_COLUMNS),
            run.error or "",
        )
        for run in report.runs
    ]
    header = ("Cell", "Process", "Seed", "Status", "Compiled", "Compile cache", "Rounds, ms", *RUN_COLUMNS.values())
    return Table((*header, "Error"), rows)
