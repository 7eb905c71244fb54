"""Reports as GitHub-flavoured Markdown, to be posted on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.parity import breaks_parity
from bench.schema.report import Report
from bench.text.caveats import cell_caveats
from bench.text.headline import headline
from bench.text.markdown import code, folded, plain, table
from bench.text.numbers import with_interval
from bench.text.reduced import relative_words


def as_markdown(reports: Sequence[View]) -> str:
    """Return a report's answer, the table of its cells and its parity, the rest folded; one report after the other.

    Names from the reports are shown as they are; nothing in them is read as Markdown or HTML, or notifies anyone.
    """
    return "\n".join(_summary(view, named=len(reports) > 1) for view in reports)


def _summary(view: View, *, named: bool) -> str:
    report = view.report
    answer, *others = headline(view).split("\n")
    title = f"movierank-bench, {plain(view.name)}:" if named else "movierank-bench:"
    parts = [f"**{title}** {plain(answer)}", *map(plain, others)]
    if view.summary.step_time:
        parts.append(_cells(view))
    parts += _parity(report)
    parts += folded("Not measured", _not_measured(report))
    parts += folded("Noise", map(plain, _noise(view)))
    parts += folded("Machine and workload", _facts(report))
    return "\n\n".join(parts) + "\n"


def _noise(view: View) -> list[str]:
    conditions = view.report.conditions
    return [*(conditions.warnings if conditions else ()), *cell_caveats(view.report, view.summary.step_time)]


def _cells(view: View) -> str:
    rows = view.summary.step_time
    cells = [row.cell for row in rows]
    scores = {row.cell: f"{row.mean:.4f}" for row in view.summary.scores}
    label = plain(metric_label(view.report.workload))
    first = view.names[str(cells[0])]
    header = ("cell", "ms/step [95 %]", f"× {plain(first)}", f"test {label}", "processes")
    return table(
        header,
        [
            (
                code(view.names[str(cell)]),
                with_interval(row.median_ms, row.ci95_ms),
                relative_words(view.summary.ratios, cell, cells[0], none="-"),
                scores.get(cell, "-"),
                str(row.processes),
            )
            for cell, row in zip(cells, rows, strict=True)
        ],
    )


def _parity(report: Report) -> list[str]:
    if not report.parity:
        return []
    pairs = {(result.a, result.b) for result in report.parity}
    within = sum(result.verdict == "within" for result in report.parity)
    known = sum(result.verdict == "outside" and result.known is not None for result in report.parity)
    broken = sum(map(breaks_parity, report.parity))
    reduced = len(report.parity) - within - known - broken
    numbers = [f"{within} within rounding", f"{known} known", f"{broken} outside"]
    numbers += [f"{reduced} outside in reduced precision, which does not count"] if reduced else []
    return [f"Parity: {len(report.parity)} comparisons of {len(pairs)} pairs: {', '.join(numbers)}."]


def _not_measured(report: Report) -> list[str]:
    lines = [
        f"{code(run.name)}: {plain(f'{run.status}: {run.error}' if run.error else run.status)}"
        for run in report.runs
        if run.status != "ok"
    ]
    return list(dict.fromkeys(lines))


def _facts(report: Report) -> list[str]:
    machine, workload, software = report.machine, report.workload, report.software
    gpus = "".join(f", {gpu.name}" for gpu in machine.gpus)
    versions = ", ".join(f"{name} {version}" for name, version in software.packages.items())
    return [
        plain(f"{machine.cpu_model}{gpus}, {machine.usable_cores} usable cores, {machine.memory_mib / 1024:.0f} GiB"),
        plain(f"{machine.system}; Python {software.python}; {versions}"),
        plain(
            f"{workload.dataset} ({workload.source}, {workload.sha256[:12]}), split {workload.split}, "
            f"batch {workload.batch_size}, {workload.epochs} epochs; measured {report.created}"
        ),
    ]
