"""Plots of what trainings learn: the metric over epochs, at the end by seed beside the oracle, and parity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.page.charts.intervals import GOLDEN, Band, Row, rows_chart
from bench.page.charts.look import ALARM, BOTH_SHOWN, INK, Look, finished, layer, nothing, tip
from bench.page.thinning import Curve, drawn_dots
from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.cell import cell_named
from bench.schema.parity import ORACLE, ParityResult, group_of, share_of_envelope
from bench.schema.report import Report

LEAST_SHARE = 1e-3  # of what rounding explains; anything smaller is drawn there
LARGEST_SHARE = 1e9  # likewise
STAGE_ROW = 22  # px


def final_chart(view: View, look: Look, *, thin: bool = False) -> Any:
    """Return each process's final test metric as a dot, the mean over seeds with its interval, the oracle's band.

    Of many dots `thin` leaves some (`bench.page.thinning`).
    """
    report = view.report
    rows = [
        Row(
            cell=row.cell,
            value=row.mean,
            ci95=row.ci95,
            dots=drawn_dots(
                [
                    (value, f"process {run.process}, seed {run.seed}")
                    for run, value in view.final_scores.get(row.cell, [])
                ],
                thin=thin,
            ),
        )
        for row in view.summary.scores
    ]
    title = f"test {metric_label(report.workload)} after {report.workload.epochs} epochs"
    return rows_chart(
        rows,
        look,
        title=title,
        unit=metric_label(report.workload),
        form=".5f",
        zero=False,
        log=False,
        band=_oracle(report),
    )


def _oracle(report: Report) -> Band | None:
    if not report.reference_rmse:
        return None
    row = report.reference_rmse[0]
    name = f"float64 oracle over {row.reference_seeds} seeds"
    return Band(value=row.reference_mean, ends=row.reference_95, name=name)


def epochs_chart(curves: Sequence[Curve], name: str, look: Look) -> Any:
    """Return the training metric `name` of each run over epochs.

    From one set of initial weights the runs of all cells coincide, so the marks of each cell stand a little aside.
    """
    step = min(0.1, 0.6 / len(look.cells))
    aside = {str(cell): step * (place - (len(look.cells) - 1) / 2) for place, cell in enumerate(look.cells)}
    data = [
        {**look.fields(run.cell), "run": f"{run.process}", "seed": run.seed, "epoch": epoch,
         "aside": epoch + aside.get(str(run.cell), 0), "value": value}
        for run, values in curves
        for epoch, value in values.items()
    ]  # fmt: skip
    axis = alt.Axis(title="epoch", tickMinStep=1, format="d", grid=False)
    scale = alt.Scale(nice=False, padding=10, zero=False)
    base = layer(data).encode(
        y=alt.Y("value:Q", scale=alt.Scale(zero=False, padding=10),
                axis=alt.Axis(title=f"training {name}", tickCount=6)),
        detail=["cell:N", "run:N"],
    )  # fmt: skip
    hover = [tip("name", "Cell"), tip("run", "Process"), tip("seed", "Seed"), tip("epoch", "Epoch", "d"),
             tip("value", f"Training {name}", ".5f")]  # fmt: skip
    faint = max(0.05, 0.4 / len(look.cells))
    lines = base.mark_line(opacity=faint, strokeWidth=1.2, color=INK).encode(x=alt.X("epoch:Q", scale=scale, axis=axis))
    dots = base.mark_point(size=36, strokeWidth=1.2, opacity=0.85).encode(
        x=alt.X("aside:Q", scale=scale, axis=axis), color=look.colour(), shape=look.shape(), tooltip=hover
    )
    return finished(alt.layer(lines, dots), look, height=260)


def parity_chart(worst: Sequence[ParityResult], look: Look) -> Any:
    """Return distances by stage as a share of what rounding alone explains, of one record a pair and kind of stage."""
    if not worst:
        return nothing(look)
    stages = list(dict.fromkeys(group_of(result.stage) for result in worst))
    places = {str(cell): (place * GOLDEN) % 1 for place, cell in enumerate(look.cells)}
    data = [
        {
            **look.fields(cell_named(result.a)),
            "other": str(cell_named(result.b)) if result.b != ORACLE else ORACLE,
            "a": result.a,
            "b": result.b,
            "stage": group_of(result.stage),
            "worst": result.stage,
            "share": min(max(share_of_envelope(result), LEAST_SHARE), LARGEST_SHARE),
            "rms": f"{result.rms:.2g}" if result.rms is not None and math.isfinite(result.rms) else "not finite",
            "envelope": f"{result.envelope:.2g}",
            "verdict": result.verdict if result.known is None else f"known: {result.known}",
            "kind": "within" if result.verdict == "within" else "outside" if result.known is None else "known",
            "seed": "" if result.seed is None else result.seed,
            "place": places.get(str(cell_named(result.a)), 0.5),
        }
        for result in worst
    ]
    hover = [tip("a", "Of"), tip("b", "and"), tip("worst", "Stage"), tip("rms", "Distance, RMS"),
             tip("envelope", "Rounding explains"), tip("share", "Share", ".2~g"), tip("verdict", "Verdict"),
             tip("seed", "Seed")]  # fmt: skip
    axis = alt.Axis(title="share of rounding, log scale", tickCount=5)
    common = {
        "x": alt.X("share:Q", scale=alt.Scale(type="log", nice=False, padding=10), axis=axis),
        "y": alt.Y("stage:N", sort=stages, title=None, axis=alt.Axis(ticks=False, domain=False, grid=True)),
        "yOffset": alt.YOffset("place:Q", scale=alt.Scale(domain=[-0.3, 1.3])),
        "tooltip": hover,
    }
    pairs = layer([row for row in data if row["b"] != ORACLE], BOTH_SHOWN)
    oracle = layer([row for row in data if row["b"] == ORACLE], BOTH_SHOWN)
    alarms = layer([row for row in data if row["kind"] != "within"], BOTH_SHOWN)
    limit = layer([{"share": 1.0, "what": "all that rounding explains"}], filtered=None)
    parts = [
        limit.mark_rule(strokeDash=[4, 3], opacity=0.8).encode(x="share:Q", tooltip=[tip("what", "Limit")]),
        pairs.mark_tick(thickness=1.5, height=8, opacity=0.3, color=INK).encode(**common),
        oracle.mark_point(size=36, strokeWidth=1.2).encode(
            **common, color=look.colour(), shape=look.shape(), fillOpacity=look.filled(),
            fill=look.fill(),
        ),
        alarms.mark_point(size=130, strokeWidth=1.6, shape="circle", filled=False).encode(
            **common,
            stroke=alt.Stroke("kind:N", scale=alt.Scale(domain=["outside", "known"], range=[ALARM, INK]), legend=None),
            strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(domain=["outside", "known"], range=[[1, 0], [3, 2]]),
                                      legend=None),
        ),
    ]  # fmt: skip
    return finished(alt.layer(*parts), look, height=STAGE_ROW * max(1, len(stages)))
