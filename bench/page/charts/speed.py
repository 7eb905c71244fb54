"""Plots of time: a step, what it is spent on, a step over its floor, training to a target, the phases of a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from bench.page.charts.intervals import Band, Row, rows_chart
from bench.page.charts.look import KINDS_OF_WORK, PHASES, Look, finished, layer, plain, rows_axis, tip
from bench.page.thinning import drawn_dots
from bench.report.floors import Rates, device_rates
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.derived import Floor
from bench.schema.profile import GROUPS, Group, Profile
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.numbers import three_digits

PHASE_NAMES = {
    "import_s": "import",
    "data_s": "data",
    "build_s": "build",
    "first_step_s": "first step",
    "train_s": "training",
    "evaluate_s": "evaluate",
    "predict_s": "predict",
}


KINDS: Mapping[Group, str] = {  # as docs/profile.md has them, short enough for a phone
    "matrix products": "products",
    "embeddings": "embeddings",
    "optimizer update": "optimizer",
    "other operations": "other",
    "memory copies": "copies",
    "input pipeline": "input",
    "runtime": "run-time",
    "python or waiting": "idle",
}


def step_time_chart(view: View, look: Look, *, thin: bool = False) -> Any:
    """Return every process as a dot, every cell's median as a tick and its interval as a bar.

    Of many dots `thin` leaves some (`bench.page.thinning`).
    """
    rows = [
        Row(
            cell=row.cell,
            value=row.median_ms,
            ci95=row.ci95_ms,
            dots=drawn_dots([(v, f"process {process}") for process, v in view.medians[row.cell].items()], thin=thin),
        )
        for row in view.summary.step_time
    ]
    return rows_chart(rows, look, title="step time, ms", unit="ms/step")


def floor_chart(report: Report, look: Look) -> Any:
    """Return each cell's step time over the least that the device needs for it, and which of its limits that is."""
    rows = [
        Row(
            cell=row.cell,
            value=row.times_best_floor,
            ci95=row.times_best_floor_ci95,
            note=limit_in_words(row, report.runs),
        )
        for row in report.floors
    ]
    line = Band(value=1, ends=None, name="the floor itself")
    return rows_chart(rows, look, title="step time ÷ floor", unit="× floor", band=line, note="The floor is bound by")


def time_to_target_chart(report: Report, look: Look) -> Any:
    """Return the plot of each cell's training time until its test RMSE is at the target."""
    rows = [
        Row(cell=row.cell, value=row.typical_s, ci95=row.ci95_s)
        for row in report.time_to_target
        if row.typical_s is not None
    ]
    return rows_chart(rows, look, title="training to the target, s", unit="seconds")


def phases(runs: Sequence[Run]) -> dict[Cell, dict[str, float]]:
    """Return each cell's phases in seconds, the median over its processes; first steps are those that compiled."""
    found: dict[Cell, dict[str, float]] = {}
    for cell in dict.fromkeys(run.cell for run in runs):
        of_cell = [run for run in runs if run.cell == cell]
        for name in PHASE_NAMES:
            taken = [run for run in of_cell if run.compile_cache != "warm"] if name == "first_step_s" else of_cell
            values = [value for run in taken if (value := getattr(run, name)) is not None]
            if values:
                found.setdefault(cell, {})[name] = statistics.median(values)
    return found


def phases_chart(report: Report, look: Look) -> Any:
    """Return the phases of a run end to end."""
    data = [
        {**look.fields(cell), "part": PHASE_NAMES[name], "value": of_cell[name]}
        for cell, of_cell in phases(report.runs).items()
        for name in PHASE_NAMES
        if name in of_cell
    ]
    hover = [tip("name", "Cell"), tip("part", "Phase"), tip("value", "Seconds", ".3~g")]
    x = alt.X("value:Q", stack="zero", axis=alt.Axis(title="seconds, median over processes", tickCount=6))
    return _stacked(data, dict(zip(PHASE_NAMES.values(), PHASES, strict=True)), x, hover, look)


def profiles_chart(profiles: Sequence[Profile], look: Look) -> Any:
    """Return the shares of kinds of work in a traced step, end to end; all bars are of equal length."""
    data = [
        {**look.fields(profile.cell), "part": KINDS[group], "value": share.share, "kind": group,
         "most": _most(profile, group)}
        for profile in profiles
        for share in profile.shares
        for group in GROUPS
        if share.group == group
    ]  # fmt: skip
    hover = [tip("name", "Cell"), tip("kind", "Kind of work"), tip("value", "Of a step", ".1%"), tip("most", "Mostly")]
    axis, scale = alt.Axis(title="share of a traced step", tickCount=6, format="%"), alt.Scale(domain=[0, 1])
    x = alt.X("value:Q", stack="zero", axis=axis, scale=scale)
    return _stacked(data, dict(zip(KINDS.values(), KINDS_OF_WORK, strict=True)), x, hover, look)


def _most(profile: Profile, group: str) -> str:
    """Return the operation of a kind that takes most; the report has the first ten of all kinds."""
    return next((plain(one.name) for one in profile.operations if one.group == group), "many small ones")


def _stacked(
    data: Sequence[Mapping[str, Any]], colours: Mapping[str, str], x: alt.X, hover: Sequence[alt.Tooltip], look: Look
) -> Any:
    """Return a bar a cell of `part`s as long as their `value`, in the order of `colours`."""
    places = {part: place for place, part in enumerate(colours)}
    colour = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        # The filters do not name the parts, so this plot does; more columns would not fit on a phone.
        legend=alt.Legend(orient="top", columns=2, symbolType="square"),
    )
    bars = layer([{**row, "place": places[row["part"]]} for row in data]).mark_bar(height=16)
    order = alt.Order("place:Q")
    return finished(bars.encode(x=x, y=rows_axis(look), color=colour, order=order, tooltip=list(hover)), look)


def rates_in_words(rates: Rates | None) -> str:
    """Return for example `464 GFLOP/s, 316 GB/s`, and the launch where there is one; a dash for None."""
    if rates is None:
        return "–"
    launch = f", {three_digits(rates.launch_us)} µs a launch" if rates.launch_us else ""
    return f"{three_digits(rates.matrix_gflop_s)} GFLOP/s, {three_digits(rates.memory_gb_s)} GB/s{launch}"


def limit_in_words(floor: Floor, runs: Sequence[Run]) -> str:
    """Return in words what binds a floor by the best rates of all, as `arithmetic (464 GFLOP/s, 316 GB/s)`."""
    rates = device_rates(runs, floor.cell)[1]
    return f"{bound_in_words(floor, rates)} ({rates_in_words(rates)})"


def bound_in_words(floor: Floor, rates: Rates | None) -> str:
    """Return what binds a floor by the best rates of all: `arithmetic`, `memory` or `launch`."""
    launch_ms = rates.launch_us / 1e3 if rates else 0.0
    return "launch" if launch_ms and floor.best_floor_ms <= launch_ms else floor.best_bound
