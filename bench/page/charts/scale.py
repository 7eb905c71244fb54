"""Plots of what grows: step time and memory over the size of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np

from bench.page.charts.intervals import ends_in_words, ends_within
from bench.page.charts.look import Look, finished, layer, tip
from bench.studies.sweep.axes import size_of
from bench.studies.sweep.records import Measured, Sweep
from bench.text.numbers import Interval

HEIGHT = 300  # px
MODEL_POINTS = 40


def sweep_time_chart(sweep: Sweep, look: Look) -> Any:
    """Return measured step times with their intervals, and the cost model as a line; dashed where it does not fit."""
    data = layer(_points(sweep, look, lambda one: one.step_time_ms, lambda one: one.ci95_ms))
    hover = [tip("name", "Cell"), tip("size", sweep.settings.over, ",d"), tip("value", "ms/step", ".3~g"),
             tip("interval", "95 % interval"), tip("processes", "Processes")]  # fmt: skip
    x, y = _x(sweep), _y("step time, ms, log scale")
    lines = layer(_model(sweep, look)).mark_line(strokeWidth=1.5, opacity=0.8)
    parts = [
        data.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=6, opacity=0.25).encode(
            x=x("size"), y=y("low"), y2="high:Q", color=look.colour(), tooltip=hover),
        lines.encode(x=x("size"), y=y("value"), color=look.colour(), detail="cell:N",
                     strokeDash=alt.StrokeDash("fits:N", scale=alt.Scale(domain=["yes", "no"], range=[[1, 0], [2, 3]]),
                                               legend=None)),
        data.mark_point(size=42, strokeWidth=1.2).encode(
            x=x("size"), y=y("value"), color=look.colour(), shape=look.shape(), fill=look.fill(),
            fillOpacity=look.filled(), tooltip=hover),
    ]  # fmt: skip
    return finished(alt.layer(*parts), look, height=HEIGHT)


def sweep_memory_chart(sweep: Sweep, look: Look) -> Any:
    """Return the highest memory of a worker, a GPU's where that was measured."""
    data = layer(_points(sweep, look, peak_mib, lambda one: None))
    hover = [tip("name", "Cell"), tip("size", sweep.settings.over, ",d"), tip("value", "MiB", ",.0f")]
    x, y = _x(sweep), _y("peak memory, MiB, log scale")
    base = data.encode(x=x("size"), y=y("value"), color=look.colour(), tooltip=hover)
    lines = base.mark_line(strokeWidth=1.2, opacity=0.7).encode(detail="cell:N", strokeDash=look.dash())
    dots = base.mark_point(size=42, strokeWidth=1.2).encode(
        shape=look.shape(), fill=look.fill(), fillOpacity=look.filled()
    )
    return finished(alt.layer(lines, dots), look, height=HEIGHT)


def peak_mib(one: Measured) -> float | None:
    """Return the highest memory that a point took: of the GPU where there is one, else of the process."""
    return one.peak_rss_mib if one.peak_device_mib is None else one.peak_device_mib


def _points(
    sweep: Sweep,
    look: Look,
    value_of: Callable[[Measured], float | None],
    interval_of: Callable[[Measured], Interval | None],
) -> list[dict[str, Any]]:
    return [
        {
            **look.fields(cell),
            "size": one.value,
            "value": value,
            "processes": one.processes,
            **ends_within(value, interval_of(one)),
            "interval": ends_in_words(interval_of(one)),
        }
        for cell in sweep.settings.cells
        for one in sweep.curve(cell)
        if (value := value_of(one)) is not None
    ]


def _model(sweep: Sweep, look: Look) -> list[dict[str, Any]]:
    rows = []
    for cell in sweep.settings.cells:
        curve = sweep.curve(cell)
        model = sweep.model_of(cell)
        if model is not None and model.fits:
            between = np.geomspace(curve[0].value, curve[-1].value, MODEL_POINTS)
            found = [(float(size), model.at(size_of(sweep.settings.over, size))) for size in between]
            fits = "yes"
        else:
            found, fits = [(float(one.value), one.step_time_ms or 0) for one in curve], "no"
        rows += [{**look.fields(cell), "size": size, "value": value, "fits": fits} for size, value in found]
    return rows


def _x(sweep: Sweep) -> Callable[[str], alt.X]:
    axis = alt.Axis(title=f"{sweep.settings.over}, log scale", values=sweep.settings.values, format="~s", grid=False)
    scale = alt.Scale(type="log", nice=False, padding=14)
    return lambda name: alt.X(f"{name}:Q", scale=scale, axis=axis)


def _y(title: str) -> Callable[[str], alt.Y]:
    axis, scale = alt.Axis(title=title, tickCount=5), alt.Scale(type="log", nice=False, padding=10)
    return lambda name: alt.Y(f"{name}:Q", scale=scale, axis=axis)
