"""Plots of scorings, and of planted faults beside the limit of each stage."""

from __future__ import annotations

from typing import Any

import altair as alt

from bench.page.charts.intervals import Row, rows_chart
from bench.page.charts.look import ALARM, Look, finished, layer, tip
from bench.schema.cell import cell_named
from bench.statistics.intervals import process_median
from bench.studies.mutants.records import Mutants
from bench.studies.mutants.table import stage_groups, worst_stage
from bench.studies.score.records import ScoreReport
from bench.studies.score.table import scaled

FAULT_ROW = 16  # px
LARGEST_RATIO = 1e9  # drawn there, what is larger or not finite too
LEAST_RATIO = 1e-2


def scoring_chart(report: ScoreReport, look: Look) -> Any:
    """Return how many pairs each backend scores a second, every process as a dot."""
    rows = [
        Row(
            cell=cell_named(line.cell),
            value=line.pairs_per_s / 1e6,
            ci95=scaled(line.pairs_ci95),
            dots=[
                (process_median(run.pairs_per_s) / 1e6, f"process {run.process}")
                for run in report.runs
                if run.cell == line.cell and run.pairs_per_s
            ],
        )
        for line in report.throughput
    ]
    return rows_chart(rows, look, title="million pairs a second", unit="million pairs/s")


def mutants_chart(result: Mutants, look: Look) -> Any:
    """Return a square for each fault and stage: the darker, the further beyond what rounding explains."""
    groups = stage_groups(result)
    data = []
    for fault in result.faults:
        for group in groups:
            worst = worst_stage(fault.stages, group)
            if worst is not None:
                ratio = LARGEST_RATIO if worst.ratio is None else worst.ratio
                data.append(
                    {
                        "fault": fault.name,
                        "what": fault.what,
                        "stage": group,
                        "ratio": min(max(ratio, LEAST_RATIO), LARGEST_RATIO),
                        "shown": "not finite" if worst.ratio is None else f"{worst.ratio:.2g}",
                        "verdict": "outside" if worst.alarms else "within" if worst.verdict == "within" else "known",
                    }
                )
    hover = [tip("fault", "Fault"), tip("what", "What it does"), tip("stage", "Stage"),
             tip("shown", "Distance ÷ limit"), tip("verdict", "Verdict")]  # fmt: skip
    axis = {"domain": False, "ticks": False}
    base = layer(data, filtered=None).encode(
        x=alt.X(
            "stage:N", sort=groups, title=None, axis=alt.Axis(**axis, labelAngle=-45, labelOverlap=False, orient="top")
        ),
        y=alt.Y("fault:N", sort=[fault.name for fault in result.faults], title=None, axis=alt.Axis(**axis)),
        tooltip=hover,
    )
    shade = alt.Opacity(
        "ratio:Q", scale=alt.Scale(type="log", domain=[1, 1e6], range=[0.25, 1], clamp=True), legend=None
    )
    within = base.transform_filter("datum.verdict != 'outside'").mark_rect(opacity=0.1, color="currentColor")
    outside = base.transform_filter("datum.verdict == 'outside'").mark_rect(color=ALARM).encode(opacity=shade)
    return finished(alt.layer(within, outside), look, height=FAULT_ROW * max(1, len(result.faults)))
