"""A sweep as a picture: step time and peak memory over the size, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import plots
from bench.headline import short_names
from bench.report import Cell
from bench.report_file import atomic_write
from bench.sweep_axes import size_of
from bench.sweep_records import Measured, Sweep
from bench.sweep_table import title_of

PICTURE_NAME = "sweep.svg"
WIDEST = 3.0  # times the point: with two processes an interval may span decades and would squeeze all curves together

Values = Callable[[Measured], float | None]


def write_plot(sweep: Sweep, output: Path) -> None:
    """Writes the picture, as `.svg` or `.png` by the ending of `output`.

    Raises:
        BenchError: Matplotlib is missing, or the file cannot be written.
    """
    draws = [_step_time_plot(sweep), _memory_plot(sweep)]
    data = plots.standalone([("", draws)], output.suffix, _label(sweep))
    with atomic_write(output) as temporary:
        temporary.write_bytes(data)


def _step_time_plot(sweep: Sweep) -> plots.Draw:
    """Returns what draws points, their intervals, and the cost model as a line; a dotted one where it does not fit."""

    def draw(axes: Any) -> None:
        for cell in sweep.settings.cells:
            colour, _ = _style(sweep, cell)
            for one in sweep.curve(cell):
                if one.ci95_ms is not None and one.step_time_ms is not None:
                    ends = (
                        max(one.ci95_ms[0], one.step_time_ms / WIDEST),
                        min(one.ci95_ms[1], one.step_time_ms * WIDEST),
                    )
                    axes.plot([one.value] * 2, ends, color=colour, lw=6, alpha=0.3, solid_capstyle="butt")
            _draw_model(axes, sweep, cell, colour)
        _draw_points(axes, sweep, "ms a step; solid lines: cost model", lambda one: one.step_time_ms, line="none")

    return draw


def _memory_plot(sweep: Sweep) -> plots.Draw:
    """Returns what draws the highest memory, a GPU's where that was measured."""

    def draw(axes: Any) -> None:
        def peak(one: Measured) -> float | None:
            return one.peak_rss_mib if one.peak_device_mib is None else one.peak_device_mib

        _draw_points(axes, sweep, "peak MiB of a worker, on a GPU of its memory", peak, line=":")

    return draw


def _draw_model(axes: Any, sweep: Sweep, cell: Cell, colour: str) -> None:
    model, values = sweep.model_of(cell), [one.value for one in sweep.curve(cell)]
    if model is not None and model.fits:
        between = np.geomspace(min(values), max(values), 100)
        axes.plot(between, [model.at(size_of(sweep.settings.over, x)) for x in between], color=colour, lw=1.5)
    else:
        axes.plot(values, [one.step_time_ms for one in sweep.curve(cell)], color=colour, lw=1, ls=":")


def _draw_points(axes: Any, sweep: Sweep, title: str, value_of: Values, *, line: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

    axes.set_title(title, parse_math=False)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(sweep.settings.over)
    axes.set_xticks(sweep.settings.values, [_short(value) for value in sweep.settings.values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    handles = []
    for cell in sweep.settings.cells:
        colour, marker = _style(sweep, cell)
        points = [(one.value, value) for one in sweep.curve(cell) if (value := value_of(one)) is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], marker, color=colour, ms=4.5, ls=line)
        handles.append(Line2D([], [], color=colour, marker=marker))
    names = short_names(sweep.settings.cells)
    axes.legend(handles, [names[str(cell)] for cell in sweep.settings.cells])


def _short(value: int) -> str:
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if value >= unit and value % unit == 0:
            return f"{value // unit}{name}"
    return f"{value:,}"


def _style(sweep: Sweep, cell: Cell) -> tuple[str, str]:
    kinds = list(dict.fromkeys((one.device, one.loop) for one in sweep.settings.cells))
    marker = plots.MARKERS[kinds.index((cell.device, cell.loop)) % len(plots.MARKERS)]
    return plots.COLOURS.get(cell.backend, plots.OTHER_COLOUR), marker


def _label(sweep: Sweep) -> str:
    return f"Step time and peak memory over {sweep.settings.over}: {title_of(sweep)}"
