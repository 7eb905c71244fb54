"""The figures of a report: step time, RMSE over epochs, parity by stage, as SVG or PNG.

Matplotlib is imported when the first figure is drawn; nothing else in the harness needs it.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.formatting import with_interval
from bench.parity_groups import group_of, share_of_envelope, worst_by_group
from bench.parity_records import ORACLE, ParityResult
from bench.report import Cell, Report, StepTime
from bench.summary import cell_of, process_medians, summarise

# A colour no plot uses; in an SVG it becomes `currentColor`, so that text is readable on light and dark pages.
INK = "#010203"
COLOURS = {"jax": "#3b7dd8", "torch": "#e0722f", "tensorflow": "#2a9d6f"}
OTHER_COLOUR = "#8a6fd1"
FAULT = "#d62839"
MARKERS = "os^Dv"
LOG_FROM = 20.0  # largest over smallest step time from which a linear axis hides the fast cells
MOST_PAIRS = 10  # of cells at one stage of the parity plot; beyond, those with the oracle alone can be told apart
LEAST_SHARE = 1e-3  # of what rounding explains; anything smaller is drawn there
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # allowed neither in XML nor in HTML
STANDALONE_STYLE = (
    "<style>svg{color:#1f2328;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>"
)

Draw = Callable[[Any], None]


def step_time_plot(report: Report) -> Draw:
    """Returns what draws every process as a dot and every cell's interval as a bar."""

    def draw(axes: Any) -> None:
        axes.set_title("Step time", parse_math=False)
        medians = process_medians(report.runs)
        rows = summarise(report.runs).step_time
        if not rows:
            return _say_nothing(axes, "no step time was measured")
        for y, row in enumerate(rows):
            _draw_step_time(axes, y, row, list(medians[cell_of(row)].values()), _style(report, cell_of(row)))
        axes.set_yticks(range(len(rows)), [_plain(str(cell_of(row))) for row in rows], parse_math=False)
        axes.set_ylim(len(rows) - 0.4, -0.75)
        _limit_times(axes, rows, [value for by_process in medians.values() for value in by_process.values()])
        axes.set_xlabel("ms a step; a dot is one process, a bar the 95 % interval")
        axes.grid(axis="x", alpha=0.25)
        return None

    return draw


def rmse_plot(report: Report) -> Draw:
    """Returns what draws each run's training RMSE over epochs and its final test RMSE as a diamond."""

    def draw(axes: Any) -> None:
        axes.set_title("RMSE over epochs")
        cells = list(dict.fromkeys(run.cell for run in report.runs if run.train_rmse or run.test_rmse is not None))
        if not cells:
            return _say_nothing(axes, "no RMSE was measured")
        last = max((len(run.train_rmse) for run in report.runs), default=1)
        for place, cell in enumerate(cells):
            colour, marker = _style(report, cell)
            # From one set of initial weights the curves coincide; wide lines below narrow ones keep all in sight.
            width = 1.5 + 1.8 * min(1, 3 / len(cells)) * (len(cells) - 1 - place)
            for run in (run for run in report.runs if run.cell == cell):
                epochs = range(1, len(run.train_rmse) + 1)
                axes.plot(epochs, run.train_rmse, color=colour, lw=width, marker=marker, ms=width + 2, zorder=3 + place)
                if run.test_rmse is not None:
                    axes.plot([last + 0.2 * (place + 1)], [run.test_rmse], "D", color=colour, ms=5, alpha=0.7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch; lines: training, diamonds: test at the end")
        axes.grid(alpha=0.25)
        _legend(axes, report, cells)
        return None

    return draw


def parity_plot(report: Report) -> Draw:
    """Returns what draws distances by stage as a share of what rounding alone explains, on a log axis.

    Of the weights of one stage, the one with the largest share is drawn.
    """

    def draw(axes: Any) -> None:
        axes.set_title("Parity by stage")
        if not report.parity:
            return _say_nothing(axes, "parity was not measured")
        worst = worst_by_group(report.parity)
        if crowded := len({(result.a, result.b) for result in worst}) > MOST_PAIRS:
            worst = [result for result in worst if ORACLE in (result.a, result.b) or result.verdict == "outside"]
        stages = list(dict.fromkeys(group_of(result.stage) for result in worst))
        shares = [share for result in worst if 0 < (share := share_of_envelope(result)) < math.inf]
        floor, ceiling = min([LEAST_SHARE, *shares]) / 2, max([10.0, *shares]) * 4
        axes.axhspan(floor, 1, color="#888888", alpha=0.15, lw=0)
        axes.axhline(1, color="#888888", lw=2)
        pairs = list(dict.fromkeys((result.a, result.b) for result in worst))
        for result in worst:
            shift = (pairs.index((result.a, result.b)) - (len(pairs) - 1) / 2) * 0.6 / len(pairs)
            _draw_parity(axes, stages.index(group_of(result.stage)) + shift, result, report, floor, ceiling)
        axes.set_yscale("log")
        axes.set_ylim(floor, ceiling)
        axes.set_ylabel("distance / what rounding explains")
        axes.set_xticks(range(len(stages)), [_plain(stage) for stage in stages], rotation=35, ha="right",
                        parse_math=False)  # fmt: skip
        between = "" if crowded else " hollow: between backends;"
        axes.set_xlabel(f"filled: to the oracle;{between} grey: rounding; cross: outside")
        axes.grid(axis="y", alpha=0.25)
        named = {result.a for result in report.parity} | {result.b for result in report.parity}
        _legend(axes, report, [cell for cell in dict.fromkeys(run.cell for run in report.runs) if str(cell) in named])
        return None

    return draw


def inline_svg(draw: Draw, label: str, key: str, cells: int = 3) -> str:
    """Returns one figure as an `<svg>` element for an HTML page.

    Args:
        draw: one of the plots above.
        label: alternative text.
        key: prefix that keeps the ids of several figures on one page apart.
        cells: that it shows; many make it higher.
    """
    with _figure(1, 1, key, cells) as (figure, axes):
        draw(axes[0][0])
        return _svg_element(figure, label, key)


def standalone(rows: Sequence[tuple[str, Sequence[Draw]]], suffix: str, label: str, cells: int = 3) -> bytes:
    """Returns one picture with a titled row of plots per report, as the bytes of an `.svg` or `.png` file.

    `cells` is the most that a plot shows.
    """
    with _figure(len(rows), len(rows[0][1]), "movierank", cells) as (figure, axes):
        for (title, draws), line in zip(rows, axes, strict=True):
            for draw, cell in zip(draws, line, strict=True):
                draw(cell)
            if len(rows) > 1:
                line[0].set_ylabel(_plain(title), parse_math=False)
        if suffix == ".svg":
            svg = _svg_element(figure, label, "movierank")
            return re.sub(r"(<svg [^>]*>)", rf"\1{STANDALONE_STYLE}", svg, count=1).encode()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
        return buffer.getvalue()


@contextmanager
def _figure(rows: int, columns: int, key: str, cells: int) -> Iterator[tuple[Any, Any]]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchError('Pages need matplotlib. Install it with: pip install "movierank-bench[page]"') from error
    ink: Any = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    ink |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}
    ink |= {"svg.fonttype": "none", "svg.hashsalt": key, "figure.constrained_layout.use": True}
    ink |= {"axes.titleweight": "bold", "axes.labelsize": 8, "legend.fontsize": 8, "legend.frameon": False}
    # The user's own matplotlibrc must not change the page.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(ink)
        figure = Figure(figsize=(5.4 * columns, max(3.5, 0.5 * cells) * rows))
        figure.patch.set_alpha(0)
        axes = figure.subplots(rows, columns, squeeze=False)
        for panel in axes.flat:
            panel.patch.set_alpha(0)
        yield figure, axes


def _svg_element(figure: Any, label: str, key: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{key}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(CONTROL.sub("?", label))}" ', 1)


def _draw_step_time(axes: Any, y: int, row: StepTime, medians: list[float], style: tuple[str, str]) -> None:
    colour, marker = style
    if row.ci95_ms is not None:
        axes.plot(row.ci95_ms, [y, y], color=colour, lw=9, alpha=0.3, solid_capstyle="butt")
    axes.plot([row.median_ms] * 2, [y - 0.22, y + 0.22], color=colour, lw=2)
    spread = np.linspace(-0.12, 0.12, len(medians)) if len(medians) > 1 else [0.0]
    axes.plot(medians, [y + shift for shift in spread], marker, color=colour, ms=4.5, ls="none")
    note = "; one process, no interval" if row.ci95_ms is None else ""
    axes.annotate(f"{with_interval(row.median_ms, row.ci95_ms)} ms{note}", (0, y - 0.33), (4, 0),
                  xycoords=("axes fraction", "data"),
                  textcoords="offset points", fontsize=8)  # fmt: skip


def _limit_times(axes: Any, rows: Sequence[StepTime], medians: Sequence[float]) -> None:
    # With two processes an interval may span decades; it is cut before it squeezes the dots together.
    high = max(row.ci95_ms[1] if row.ci95_ms else row.median_ms for row in rows)
    high = min(1.1 * max(high, *medians), 2 * max(medians))
    if max(medians) / min(medians) > LOG_FROM:
        axes.set_xscale("log")
        axes.set_xlim(min(medians) / 2, high)
    else:
        axes.set_xlim(0, high)


def _draw_parity(axes: Any, x: float, result: ParityResult, report: Report, floor: float, ceiling: float) -> None:
    colours = {str(run.cell): _style(report, run.cell) for run in report.runs}
    colour, marker = colours.get(result.a, (OTHER_COLOUR, "o"))
    y = min(max(share_of_envelope(result), floor * 1.2), ceiling / 3)
    filled = result.b == ORACLE
    axes.plot([x], [y], marker, ms=5, mec=colour, mfc=colour if filled else "none", ls="none")
    if result.verdict == "outside":
        axes.plot([x], [y], "x", ms=11, mew=2, color=OTHER_COLOUR if result.known else FAULT)


def _style(report: Report, cell: Cell) -> tuple[str, str]:
    kinds = list(dict.fromkeys((run.device, run.loop) for run in report.runs))
    return COLOURS.get(cell.backend, OTHER_COLOUR), MARKERS[kinds.index((cell.device, cell.loop)) % len(MARKERS)]


def _legend(axes: Any, report: Report, cells: Sequence[Cell]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for cell in cells:
        colour, marker = _style(report, cell)
        handles.append(Line2D([], [], color=colour, marker=marker))
    # The names are set afterwards, since matplotlib drops labels that begin with an underscore.
    few = len(cells) <= MOST_PAIRS // 2
    legend = axes.legend(handles, ["x"] * len(handles), ncols=1 if few else 2, fontsize=8 if few else 7)
    for text, cell in zip(legend.get_texts(), cells, strict=True):
        text.set(text=_plain(str(cell)), parse_math=False)


def _say_nothing(axes: Any, words: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", transform=axes.transAxes)


def _plain(text: str) -> str:
    # What the fonts of matplotlib can draw; names in a report may hold anything.
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return "".join(char if char.isprintable() and (ord(char) < 0x250 or char == "…") else "?" for char in short)
