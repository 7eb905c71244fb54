"""Reports as one self-contained HTML page, or their figure as a picture."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import plots
from bench.errors import BenchError
from bench.formatting import with_interval
from bench.headline import headline
from bench.report import Report, Run
from bench.report_file import atomic_write
from bench.statistics import Interval
from bench.summary import Summary, cell_of, summarise

PICTURES = (".svg", ".png")

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --bad: #c92a2a; --good: #2b8a3e; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8787; --good: #69db7c; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 3rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
.headline { font-size: 1.15rem; border-left: 4px solid #3b7dd8; padding: .25rem 0 .25rem 1rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figure svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--soft); } td { overflow-wrap: anywhere; min-width: 4rem; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
summary { cursor: pointer; margin: 1rem 0 .5rem; font-weight: 600; }
""".strip()


def write_page(reports: Sequence[tuple[str, Report]], output: Path) -> None:
    """Writes reports as a page, or their figure where `output` ends with `.svg` or `.png`.

    The page needs nothing but itself: styles and figures are inside, there is no script and no request. The
    same reports give the same bytes. A picture has one row a report: step time, RMSE and parity.

    Args:
        reports: a name and a report each, in the order in which they appear.
        output: the file; one that exists is replaced.

    Raises:
        BenchError: if there is no report, the ending is none of the three, Matplotlib is missing, a report holds
            an impossible step time, or the file cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in (".html", ".htm", *PICTURES):
        raise BenchError(f"cannot tell what to write to {output}; end its name with .html, .svg or .png")
    if not reports:
        raise BenchError("a page needs at least one report")
    summaries = [_summary(name, report) for name, report in reports]
    if suffix in PICTURES:
        rows = [(name, _draws(report)) for name, report in reports]
        data = plots.standalone(
            rows,
            suffix,
            " ".join(headline(report) for _, report in reports),
            max(len(report.step_time) for _, report in reports),
        )
    else:
        data = _page(reports, summaries).encode(errors="replace")
    with atomic_write(output) as temporary:
        temporary.write_bytes(data)


def _summary(name: str, report: Report) -> Summary:
    try:
        return summarise(report.runs)
    except ValueError as error:
        raise BenchError(f"{name} holds an impossible step time: {error}. Measure it again.") from error


def _draws(report: Report) -> list[plots.Draw]:
    return [plots.step_time_plot(report), plots.rmse_plot(report), plots.parity_plot(report)]


def _page(reports: Sequence[tuple[str, Report]], summaries: Sequence[Summary]) -> str:
    sections = "\n".join(
        _section(index, name, report, summary)
        for index, ((name, report), summary) in enumerate(zip(reports, summaries, strict=True))
    )
    names = ", ".join(name for name, _ in reports)
    return document(f"movierank-bench: {names}", "movierank-bench", sections)


def document(title: str, heading: str, sections: str) -> str:
    """Returns a whole page; `sections` is HTML, the other two are text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_text(title)}</title>
<style>
{STYLE}
</style>
</head>
<body>
<h1>{_text(heading)}</h1>
<main>
{sections}
</main>
</body>
</html>
"""


def _section(index: int, name: str, report: Report, summary: Summary) -> str:
    labels = (_step_time_label(summary), _rmse_label(summary), _parity_label(report))
    figures = "\n".join(
        f"<figure>{plots.inline_svg(draw, label, f'r{index}f{place}', len(report.step_time))}</figure>"
        for place, (draw, label) in enumerate(zip(_draws(report), labels, strict=True))
    )
    facts = [("Measured", {"created": report.created, "finished": report.finished})]
    facts += [(what, msgspec.to_builtins(getattr(report, what.lower()))) for what in ("Workload", "Settings")]
    facts += [(what, msgspec.to_builtins(getattr(report, what.lower()))) for what in ("Machine", "Software")]
    return f"""<section aria-labelledby="r{index}">
<h2 id="r{index}">{_text(name)}</h2>
<p class="headline">{_text(headline(report))}</p>
<div class="figures">
{figures}
</div>
{_step_time_table(summary)}
{_ratio_table(summary)}
{_rmse_table(summary)}
{_folded("Parity by stage", _parity_table(report))}
{_folded("Every run", _run_table(report.runs))}
{"".join(_folded(title, _fact_table(values)) for title, values in facts)}
</section>"""


def _step_time_label(summary: Summary) -> str:
    rows = [f"{cell_of(row)} {with_interval(row.median_ms, row.ci95_ms)}" for row in summary.step_time]
    return f"Step time in ms by cell, with 95 % intervals: {'; '.join(rows) or 'none measured'}"


def _rmse_label(summary: Summary) -> str:
    rows = [f"{cell_of(row)} {row.mean:.4f}" for row in summary.rmse]
    return f"RMSE over epochs; at the end, on the test part: {'; '.join(rows) or 'none measured'}"


def _parity_label(report: Report) -> str:
    outside = sum(result.verdict == "outside" for result in report.parity)
    return (
        "Distances between trainings by stage, as a share of what rounding explains: "
        f"{outside} of {len(report.parity)} comparisons are outside"
    )


def _step_time_table(summary: Summary) -> str:
    header = ("Cell", "Median, ms", "95 % interval", "Processes", "Rounds")
    rows = [
        (cell_of(row), f"{row.median_ms:.4g}", _ends(row.ci95_ms, ".4g"), row.processes, row.rounds)
        for row in summary.step_time
    ]
    return _table("Step time", header, rows)


def _ratio_table(summary: Summary) -> str:
    header = ("Slower", "Faster", "Ratio", "95 % interval", "Pairs of processes")
    rows = [(row.a, row.b, f"{row.ratio:.3f}", _ends(row.ci95, ".3f"), row.pairs) for row in summary.ratios]
    return _table("Ratios of step times", header, rows)


def _rmse_table(summary: Summary) -> str:
    rows = [(cell_of(row), f"{row.mean:.5f}", _ends(row.ci95, ".5f"), row.seeds) for row in summary.rmse]
    return _table("Test RMSE", ("Cell", "Mean", "95 % interval", "Seeds"), rows)


def _parity_table(report: Report) -> str:
    header = ("A", "B", "Stage", "RMS", "Largest", "Rounding envelope", "Verdict", "Known deviation")
    rows = [
        (r.a, r.b, r.stage, _small(r.rms), _small(r.max_abs), _small(r.envelope), r.verdict, r.known or "")
        for r in report.parity
    ]
    return _table("", header, rows)


def _run_table(runs: Sequence[Run]) -> str:
    numbers = {
        **{"import_s": "Import, s", "build_s": "Build, s", "first_step_s": "First step, s", "train_s": "Train, s"},
        **{"evaluate_s": "Evaluate, s", "predict_s": "Predict, s", "test_rmse": "Test RMSE"},
        **{"peak_rss_mib": "Memory, MiB", "peak_device_mib": "Device memory, MiB"},
    }
    header = ("Cell", "Process", "Seed", "Status", "Compiled", "Steps, ms", *numbers.values(), "Error")
    rows = [
        (
            *(run.cell, run.process, run.seed, run.status, run.compile_mode or ""),
            " ".join(f"{time:.3g}" for time in run.step_time_ms),
            *(_number(getattr(run, name)) for name in numbers),
            run.error or "",
        )
        for run in runs
    ]
    return _table("", header, rows)


def _fact_table(values: Mapping[str, object]) -> str:
    rows: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}: {name}", inner) for name, inner in value.items()] or [(key, "none")]
        elif isinstance(value, list):
            parts = [", ".join(map(str, item.values())) if isinstance(item, Mapping) else str(item) for item in value]
            rows.append((key, "; ".join(parts) or "none"))
        else:
            rows.append((key, "unknown" if value is None else value))
    return _table("", ("Key", "Value"), rows)


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join(f"<tr>{''.join(_data(value) for value in row)}</tr>\n" for row in rows)
    heading = f"<h3>{_text(title)}</h3>\n" if title else ""
    if not body:
        return f"{heading}<p>Nothing was measured.</p>"
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    return f'{heading}<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def _data(value: object) -> str:
    marks = {"outside": "bad", "failed": "bad", "killed": "bad", "timeout": "bad", "within": "good"}
    mark = marks.get(str(value))
    return f'<td class="{mark}">{_text(value)}</td>' if mark else f"<td>{_text(value)}</td>"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{_text(title)}</summary>\n{body}\n</details>\n"


def _text(value: object) -> str:
    return html.escape(plots.CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def _ends(ends: Interval | None, form: str) -> str:
    return "" if ends is None else f"[{ends[0]:{form}}, {ends[1]:{form}}]"


def _small(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.2g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
