"""Step times over reports as one self-contained HTML page, or as a picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import plots
from bench.errors import BenchError
from bench.formatting import with_interval
from bench.history import Group, Point, Series
from bench.page import PICTURES, document
from bench.report_file import atomic_write

MOST_DATES = 8  # on one axis
HIGHEST = 2.0  # times the largest step time: an interval may reach further and would squeeze all others together


def write_history(groups: Sequence[Group], output: Path) -> None:
    """Writes a figure for each cell of each group, as a page or, where `output` ends so, as `.svg` or `.png`.

    The page needs nothing but itself: there is no script and no request.

    Raises:
        BenchError: the ending is none of the three, Matplotlib is missing, or the file cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in (".html", ".htm", *PICTURES):
        raise BenchError(f"cannot tell what to write to {output}; end its name with .html, .svg or .png")
    if suffix in PICTURES:
        rows = [("ms a step", [_plot(series)]) for group in groups for series in group.series]
        data = plots.standalone(rows, suffix, " ".join(_label(series) for group in groups for series in group.series))
    else:
        data = _page(groups).encode(errors="replace")
    with atomic_write(output) as temporary:
        temporary.write_bytes(data)


def _plot(series: Series) -> plots.Draw:
    """Returns what draws every report as a dot with its interval, the levels as lines and the changes as crosses."""

    def draw(axes: Any) -> None:
        points = series.points
        colour = plots.COLOURS.get(series.cell.partition("/")[0], plots.OTHER_COLOUR)
        axes.set_title(_plain(series.cell), parse_math=False)
        for x, point in enumerate(points):
            if point.step_time.ci95_ms is not None:
                axes.plot([x, x], point.step_time.ci95_ms, color=colour, lw=6, alpha=0.3, solid_capstyle="butt")
        axes.plot([point.step_time.median_ms for point in points], "o", color=colour, ms=4.5)
        starts = [0, *(x for x, point in enumerate(points) if point.change is not None), len(points)]
        for start, stop in pairwise(starts):
            axes.plot([start - 0.4, stop - 0.6], [points[start].level_ms] * 2, color=colour, lw=1.5)
        for x, point in enumerate(points):
            if point.change is not None:
                axes.axvline(x - 0.5, color=plots.FAULT if point.change > 1 else plots.INK, lw=1, ls="--")
                axes.annotate(f"× {point.change:.3g}", (x - 0.5, 1), (3, -10), fontsize=8,
                              xycoords=("data", "axes fraction"), textcoords="offset points")  # fmt: skip
        _limit(axes, points)
        every = -(-len(points) // MOST_DATES)
        dates = [f"{datetime.fromisoformat(point.created):%Y-%m-%d}" for point in points]
        axes.set_xticks(range(0, len(points), every), dates[::every], rotation=30, ha="right")
        axes.set_ylabel("ms a step")
        axes.set_xlabel("a dot is one report, a bar its 95 % interval, a line the level between changes")
        axes.grid(axis="y", alpha=0.25)

    return draw


def _limit(axes: Any, points: Sequence[Point]) -> None:
    largest = max(point.step_time.median_ms for point in points)
    ends = [point.step_time.ci95_ms[1] for point in points if point.step_time.ci95_ms]
    axes.set_ylim(0, 1.15 * min(max([largest, *ends]), HIGHEST * largest))
    axes.set_xlim(-0.6, max(len(points), 2) - 0.4)


def _page(groups: Sequence[Group]) -> str:
    sections = "\n".join(_section(number, group) for number, group in enumerate(groups))
    return document("movierank-bench: history", "Step time over reports", sections)


def _section(number: int, group: Group) -> str:
    figures = "\n".join(
        f"<figure>{plots.inline_svg(_plot(series), _label(series), f'g{number}s{place}')}</figure>"
        for place, series in enumerate(group.series)
    )
    tables = "\n".join(
        f"<details><summary>{_text(series.cell)}</summary>\n{_table(series)}\n</details>" for series in group.series
    )
    return f"""<section aria-labelledby="g{number}">
<h2 id="g{number}">{_text(group.title)}</h2>
<div class="figures">
{figures}
</div>
{tables}
</section>"""


def _table(series: Series) -> str:
    names = ("Measured", "Report", "Step time, ms, with 95 % interval", "Test RMSE", "Change", "Software that changed")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(value)}</td>' for value in _row(point))}</tr>\n" for point in series.points
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def _row(point: Point) -> tuple[str, ...]:
    return (
        point.created,
        point.report,
        with_interval(point.step_time.median_ms, point.step_time.ci95_ms),
        "" if point.rmse is None else f"{point.rmse.mean:.5f}",
        "" if point.change is None else f"× {point.change:.3f}",
        "; ".join(point.changes),
    )


def _label(series: Series) -> str:
    changes = [f"× {point.change:.3g} on {point.created}" for point in series.points if point.change is not None]
    first, last = (point.step_time.median_ms for point in (series.points[0], series.points[-1]))
    return (
        f"Step time of {series.cell} in {len(series.points)} reports, from {first:.3g} to {last:.3g} ms; "
        f"changes: {', '.join(changes) or 'none'}."
    )


def _text(value: str) -> str:
    return html.escape(plots.CONTROL.sub("\N{REPLACEMENT CHARACTER}", value))


def _plain(text: str) -> str:
    # Matplotlib's fonts lack most of Unicode, and a long name would push the figure aside.
    return text[:40].encode("ascii", "replace").decode()
