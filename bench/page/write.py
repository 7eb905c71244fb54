"""Writes what was measured as one self-contained HTML page, or the figure of reports as a picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.page.inputs import Shown
from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.parity import worst_by_group
from bench.schema.report import Report
from bench.system.files import atomic_write, make_folder_of
from bench.text.headline import headline
from movierank.install_hint import install_hint

PAGES = (".html", ".htm")
PICTURES = (".svg", ".png")
PACKAGES = ("altair", "vl_convert")
PLOT_WIDTH = 300  # px of one plot in a picture


def write_page(shown: Shown | Sequence[tuple[str, Report]], output: Path) -> str:
    """Write a page, or the figure of its reports where `output` ends with `.svg` or `.png`.

    The page needs nothing but itself: styles, data and the libraries that draw it are inside, and it asks nobody for
    anything. The same reports give the same bytes. A page that would be larger than 3 MiB draws less, by rules that
    it states (`bench.page.assembly`). A picture has one row a report: step time and RMSE, beside them parity.

    Args:
        shown: reports and other results to show; reports alone may be given as a name and a report each.
        output: file to write; one that exists is replaced.

    Returns:
        What a page does not draw, in a sentence or two; empty where it draws all.

    Raises:
        BenchError: if there is nothing to show, the ending is none of the three, Altair is missing, a report holds
            an impossible step time, or the file cannot be written.
    """
    check_output(output)
    shown = shown if isinstance(shown, Shown) else Shown(reports=[View(report, name) for name, report in shown])
    if shown.empty:
        raise BenchError("a page needs at least one report")
    if output.suffix.lower() in PICTURES:
        write_data(_picture(shown, output), output)
        return ""
    from bench.page.assembly import assemble

    page, left_out = assemble(shown)
    write_data(page, output)
    return left_out


def check_output(output: Path) -> None:
    """Check that a page or picture can be drawn to a file of this name.

    Raises:
        BenchError: the ending is none of the three, or Altair is missing.
    """
    if output.suffix.lower() not in (*PAGES, *PICTURES):
        raise BenchError(f"{output} has no ending that names a format; end its name with .html, .svg or .png")
    if not can_draw():
        raise BenchError(f"plots need Altair; install it with: {install_hint('page')}")


def can_draw() -> bool:
    """Return whether the packages of the extra `page` are there."""
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


def write_data(data: bytes, output: Path) -> None:
    """Write a file whole or not at all, and create its folder."""
    make_folder_of(output)
    with atomic_write(output) as temporary:
        temporary.write_bytes(data)


def _picture(shown: Shown, output: Path) -> bytes:
    import altair as alt

    from bench.page.charts.drawing import picture
    from bench.page.charts.look import look_of
    from bench.page.charts.quality import final_chart, parity_chart
    from bench.page.charts.speed import step_time_chart

    if not shown.reports:
        raise BenchError("a picture shows reports of run; write sweeps, scorings and planted faults to .html")
    rows: list[Any] = []
    cells = shown.cells()
    named, bare = look_of(cells, width=PLOT_WIDTH, legend=True), look_of(cells, width=PLOT_WIDTH)
    for view in shown.reports:
        report = view.report
        left = alt.vconcat(
            step_time_chart(view, named).properties(title="Step time"),
            final_chart(view, bare).properties(title=f"{metric_label(report.workload)} at the end"),
            spacing=28,
        ).resolve_scale(color="independent", shape="independent")
        parity = parity_chart(worst_by_group(report.parity), bare).properties(title="Parity by stage")
        row = alt.hconcat(left, parity, spacing=28).resolve_scale(color="independent", shape="independent")
        rows.append(row.properties(title=view.name) if len(shown.reports) > 1 else row)
    chart = alt.vconcat(*rows, spacing=36) if len(rows) > 1 else rows[0]
    return picture(chart, output.suffix.lower(), " ".join(map(headline, shown.reports)))
