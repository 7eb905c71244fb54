"""Plots of time: a step, a step over its floor, training to a target, the phases of a run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.charts.intervals import Band, Row, rows_chart
from bench.charts.look import PHASES, Look, finished, layer, rows_axis, tip
from bench.report import Cell, Floor, Report, Run
from bench.summary import cell_of, process_medians, summarise

PHASE_NAMES = {
    "import_s": "import",
    "data_s": "data",
    "build_s": "build",
    "first_step_s": "first step",
    "train_s": "training",
    "evaluate_s": "evaluate",
    "predict_s": "predict",
}


def step_time_chart(report: Report, look: Look) -> Any:
    """Returns every process as a dot, every cell's median as a tick and its interval as a bar."""
    medians = process_medians(report.runs)
    rows = [
        Row(
            cell=cell_of(row),
            value=row.median_ms,
            ci95=row.ci95_ms,
            dots=[(value, f"process {process}") for process, value in medians[cell_of(row)].items()],
        )
        for row in summarise(report.runs).step_time
    ]
    return rows_chart(rows, look, title="step time, ms", unit="ms/step")


def floor_chart(floors: Sequence[Floor], look: Look) -> Any:
    """Returns each cell's step time over the least that the device needs for it."""
    rows = [Row(cell=row.cell, value=row.times_best_floor, ci95=row.times_best_floor_ci95) for row in floors]
    line = Band(value=1, ends=None, name="the floor itself")
    return rows_chart(rows, look, title="step time ÷ floor", unit="× floor", band=line)


def time_to_target_chart(report: Report, look: Look) -> Any:
    """Returns how long each cell trains until its test RMSE is at the target."""
    rows = [
        Row(
            cell=Cell(backend=row.backend, device=row.device, loop=row.loop),
            value=row.typical_s,
            ci95=row.ci95_s,
        )
        for row in report.time_to_target
        if row.typical_s is not None
    ]
    return rows_chart(rows, look, title="training to the target, s", unit="seconds")


def phases(runs: Sequence[Run]) -> dict[Cell, dict[str, float]]:
    """Returns each cell's phases in seconds, the median over its processes; first steps are those that compiled."""
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
    """Returns the phases of a run end to end."""
    names = list(PHASE_NAMES)
    data = [
        {**look.fields(cell), "phase": PHASE_NAMES[name], "place": names.index(name), "seconds": seconds}
        for cell, of_cell in phases(report.runs).items()
        for name, seconds in of_cell.items()
    ]
    colour = alt.Color(
        "phase:N",
        title=None,
        scale=alt.Scale(domain=list(PHASE_NAMES.values()), range=list(PHASES)),
        # The filters do not name phases, so this plot does.
        legend=alt.Legend(orient="top", columns=3, symbolType="square"),
    )
    bars = layer(data).mark_bar(height=16).encode(
        x=alt.X("seconds:Q", stack="zero", axis=alt.Axis(title="seconds, median over processes", tickCount=6)),
        y=rows_axis(look),
        color=colour,
        order=alt.Order("place:Q"),
        tooltip=[tip("name", "Cell"), tip("phase", "Phase"), tip("seconds", "Seconds", ".3~g")],
    )  # fmt: skip
    return finished(bars, look)
