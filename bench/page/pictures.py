"""Step times over reports as one self-contained HTML page, or as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.comparison.history import Group
from bench.page.write import PICTURES, check_output, write_data
from bench.schema.cell import cell_named
from bench.studies.sweep.records import Sweep
from bench.studies.sweep.table import title_of

PICTURE_NAME = "sweep.svg"

PLOT_WIDTH = 380  # px


PICTURE_WIDTH = 560  # px of a plot


def write_history(groups: Sequence[Group], output: Path) -> None:
    """Write a plot for each cell of each group, as a page or, where `output` ends so, as `.svg` or `.png`.

    The page needs nothing but itself and asks nobody for anything.

    Raises:
        BenchError: the ending is none of the three, Altair is missing, or the file cannot be written.
    """
    check_output(output)
    suffix = output.suffix.lower()
    write_data(_picture(groups, suffix) if suffix in PICTURES else _page(groups), output)


def _picture(groups: Sequence[Group], suffix: str) -> bytes:
    import altair as alt

    from bench.page.charts.drawing import picture
    from bench.page.charts.look import look_of, plain
    from bench.page.charts.trend import in_words, trend_chart

    plots, words = [], []
    look = look_of((cell_named(series.cell) for group in groups for series in group.series), width=PICTURE_WIDTH)
    for group in groups:
        plots += [trend_chart([series], look).properties(title=plain(series.cell)) for series in group.series]
        words += [in_words(series) for series in group.series]
    return picture(alt.vconcat(*plots, spacing=28), suffix, " ".join(words))


def _page(groups: Sequence[Group]) -> bytes:
    from bench.page.charts.look import look_of
    from bench.page.document import document
    from bench.page.figure import plots_of, section
    from bench.page.other_figures import trend_figures

    look = look_of(cell_named(series.cell) for group in groups for series in group.series)
    sections, figures = [], []
    for place, group in enumerate(groups):
        found = list(trend_figures(f"g{place}-", [group], look, apart=True))
        sections.append(section(group.title, f"g{place}", found))
        figures += found
    html, plots = "\n".join(sections), plots_of(figures)
    page = document("movierank-bench: history", "Step time over reports", "", html, plots, look)
    return page.encode(errors="replace")


def write_plot(sweep: Sweep, output: Path) -> None:
    """Write the picture, as `.svg` or `.png` by the ending of `output`.

    Raises:
        BenchError: Altair is missing, or the file cannot be written.
    """
    check_output(output)

    import altair as alt

    from bench.page.charts.drawing import picture
    from bench.page.charts.look import look_of
    from bench.page.charts.scale import sweep_memory_chart, sweep_time_chart

    named = look_of(sweep.settings.cells, width=PLOT_WIDTH, legend=True)
    bare = look_of(sweep.settings.cells, width=PLOT_WIDTH)
    plots = alt.hconcat(
        sweep_time_chart(sweep, named).properties(title="Step time; solid lines: cost model"),
        sweep_memory_chart(sweep, bare).properties(title="Peak memory of a worker, on a GPU of its memory"),
        spacing=28,
    ).resolve_scale(color="independent", shape="independent")
    label = f"Step time and peak memory over {sweep.settings.over}: {title_of(sweep)}"
    write_data(picture(plots, output.suffix.lower(), label), output)
