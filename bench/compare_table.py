"""A comparison of two reports as tables on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.comparison import Comparison
from bench.formatting import three_digits, with_interval
from bench.report import StepTime

STYLES = {
    "faster": "green",
    "better": "green",
    "slower": "red",
    "worse": "red",
    "undecided": "yellow",
    "not comparable": "yellow",
}


def render(comparison: Comparison) -> RenderableType:
    """Returns all that a comparison says, ready for `rich.console.Console.print`.

    Names from the reports are shown as they are: nothing in them is read as markup.
    """
    parts: list[RenderableType] = []
    if comparison.not_comparable:
        parts.append(Text(f"Step times are not comparable: {comparison.not_comparable}", style="yellow"))
    if comparison.step_time:
        parts.append(_step_time(comparison))
    if comparison.rmse_not_comparable:
        parts.append(Text(f"RMSE is not comparable: {comparison.rmse_not_comparable}", style="yellow"))
    if comparison.rmse:
        parts.append(_rmse(comparison))
    for result in comparison.parity:
        rms = "not finite" if result.rms is None else f"{result.rms:.2g}"
        line = f"Newly out of parity: {result.a} and {result.b} at stage {result.stage}, "
        parts.append(Text(f"{line}rms {rms} beside {result.envelope:.2g} from rounding alone", style="red"))
    for where, cells in (("base", comparison.only_in_base), ("new", comparison.only_in_new)):
        for cell, reason in cells.items():
            parts.append(Text(f"Only in {where}: {cell}" + (f" ({reason})" if reason else "")))
    if comparison.changes:
        parts.append(Text(f"Changed: {', '.join(comparison.changes)}"))
    parts.append(_conclusion(comparison))
    return Group(*parts)


def _step_time(comparison: Comparison) -> Table:
    title = f"Step time, ms, and ratio with 95 % interval; up to {100 * comparison.max_regression:.3g} % longer is fine"
    table = _table(title, "cell", "base", "new", "new / base", "verdict")
    for row in comparison.step_time:
        ratio = "-" if row.ratio is None else with_interval(row.ratio, row.ci95)
        verdict = Text(f"{row.verdict}{', regression' if row.regression else ''}", style=STYLES.get(row.verdict, ""))
        table.add_row(Text(row.cell), _time(row.base), _time(row.new), Text(ratio), verdict)
    return table


def _rmse(comparison: Comparison) -> Table:
    title = f"Test RMSE: mean over seeds; up to {comparison.rmse_margin:.3g} higher is allowed"
    table = _table(title, "cell", "base", "new", "new - base", "verdict")
    for row in comparison.rmse:
        ends = "" if row.ci95 is None else f" [{row.ci95[0]:+.4f}, {row.ci95[1]:+.4f}]"
        difference = Text(f"{row.difference:+.4f}{ends}")
        verdict = Text(row.verdict, style=STYLES.get(row.verdict, ""))
        table.add_row(Text(row.cell), f"{row.base:.4f}", f"{row.new:.4f}", difference, verdict)
    return table


def _conclusion(comparison: Comparison) -> Text:
    if comparison.exit_code:
        return Text("Something is slower, worse or out of parity.", style="bold red")
    if comparison.nothing_compared:
        return Text("The reports have nothing that can be compared.", style="bold yellow")
    return Text("Nothing is shown to be slower, worse or out of parity.", style="bold")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("cell", "verdict") else "right", no_wrap=True)
    return table


def _time(row: StepTime) -> Text:
    return Text(three_digits(row.median_ms))
