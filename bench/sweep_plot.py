"""A sweep as a picture: step time and peak memory over the size, on logarithmic axes."""

from __future__ import annotations

from pathlib import Path

from bench.page.write import check_output, write_data
from bench.sweep_records import Sweep
from bench.sweep_table import title_of

PICTURE_NAME = "sweep.svg"
PLOT_WIDTH = 380  # px


def write_plot(sweep: Sweep, output: Path) -> None:
    """Writes the picture, as `.svg` or `.png` by the ending of `output`.

    Raises:
        BenchError: Altair is missing, or the file cannot be written.
    """
    check_output(output)

    import altair as alt

    from bench.charts.drawing import picture
    from bench.charts.look import look_of
    from bench.charts.scale import sweep_memory_chart, sweep_time_chart

    named = look_of(sweep.settings.cells, width=PLOT_WIDTH, legend=True)
    bare = look_of(sweep.settings.cells, width=PLOT_WIDTH)
    plots = alt.hconcat(
        sweep_time_chart(sweep, named).properties(title="Step time; solid lines: cost model"),
        sweep_memory_chart(sweep, bare).properties(title="Peak memory of a worker, on a GPU of its memory"),
        spacing=28,
    ).resolve_scale(color="independent", shape="independent")
    label = f"Step time and peak memory over {sweep.settings.over}: {title_of(sweep)}"
    write_data(picture(plots, output.suffix.lower(), label), output)
