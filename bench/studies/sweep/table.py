"""A sweep on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bench.schema.cell import short_names
from bench.statistics.cost_model import CostModel
from bench.studies.sweep.axes import UNITS, Over
from bench.studies.sweep.records import Measured, Sweep
from bench.text.numbers import three_digits, with_interval
from bench.text.table import FittingTable

MOST_WARNINGS = 3


def print_sweep(sweep: Sweep, console: Console) -> None:
    """Print a table of all points, the cost model of each cell, and what is missing."""
    names = short_names(sweep.settings.cells)
    table = FittingTable(title=title_of(sweep), named_by=2)
    table.add_column(sweep.settings.over, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("ms/step", "examples/s", "MiB"):
        table.add_column(name, justify="right", no_wrap=name != "ms/step")
    last = None
    for one in sweep.measured:
        value = f"{one.value:,}" if one.value != last else ""
        last = one.value
        table.add_row(*map(Text, (value, names[str(one.cell)], *_figures(one))))
    console.print(table)
    for line in sweep_lines(sweep):
        console.print(Text(line))


def sweep_lines(sweep: Sweep) -> list[str]:
    """Return sentences on the cost models, on what is missing, and on what could have distorted the figures."""
    names = short_names(sweep.settings.cells)
    over = sweep.settings.over
    lines = [f"{names[str(one.cell)]}: {model_in_words(one.model, over)}" for one in sweep.models]
    missing: dict[tuple[str, str], list[str]] = {}
    for one in sweep.measured:
        if one.error is not None:
            key = (names[str(one.cell)], f"{one.error_status}: {one.error}")
            missing.setdefault(key, []).append(f"{one.value:,}")
        if one.unsteady:
            lines.append(f"{names[str(one.cell)]} at {one.value:,}: {one.unsteady} of {one.processes} processes were "
                         "still getting faster when timed.")  # fmt: skip
    lines += [f"{name} at {', '.join(values)}: {why}" for (name, why), values in missing.items()]
    lines += [f"Noise: {warning}" for warning in sweep.warnings[:MOST_WARNINGS]]
    if (more := len(sweep.warnings) - MOST_WARNINGS) > 0:
        lines.append(f"Noise: {more} more such warnings are in sweep.json.")
    return lines


def model_in_words(model: CostModel | None, over: Over) -> str:
    """Return one or two sentences: the terms with their intervals, which of them rules, and how well they fit."""
    if model is None:
        return "too few points for a cost model."
    if not model.fits:
        return (
            f"a fixed cost and one per {UNITS[over]} do not describe these {model.points} points: "
            f"they lie {_percent(model.typical_error)} off, typically."
        )
    fixed, (slope, unit) = model.fixed, _scaled(model, over)
    terms = f"step = {_term(fixed.value, fixed.ci95)} ms + {_term(*slope)} {unit}"
    return f"{terms}; {_ruling(model, over)}. Points lie {_percent(model.typical_error)} off, typically."


def _ruling(model: CostModel, over: Over) -> str:
    if model.crossover is None:
        return "the fixed cost is all that is seen" if model.slope.value == 0 else "no fixed cost is seen"
    if over == "threads":
        return f"the part that threads share rules below {three_digits(1 / model.crossover)} threads"
    return f"the fixed cost rules below {over} {model.crossover:,.0f}, the other above"


def _scaled(model: CostModel, over: Over) -> tuple[tuple[float, tuple[float, float]], str]:
    """Return the slope with its interval in a unit in which it has few zeros, and that unit."""
    if over == "threads":
        return (model.slope.value, model.slope.ci95), "ms / threads"
    factor, unit = (1e3, "µs") if model.slope.value >= 1e-3 else (1e6, "ns")
    low, high = model.slope.ci95
    return (factor * model.slope.value, (factor * low, factor * high)), f"{unit} × {over}"


def _term(value: float, ci95: tuple[float, float]) -> str:
    return "0" if ci95[1] == 0 else with_interval(value, ci95)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"


def _figures(one: Measured) -> tuple[str, str, str]:
    if one.step_time_ms is None or one.examples_per_s is None:
        return (one.error_status or "–", "–", "–")
    memory = "–" if one.peak_rss_mib is None else f"{one.peak_rss_mib:,.0f}"
    return with_interval(one.step_time_ms, one.ci95_ms), f"{one.examples_per_s:,.0f}", memory


def title_of(sweep: Sweep) -> str:
    """Return a title of what all points share: data, batch size, width, threads, and the processes of an interval."""
    settings = sweep.settings
    datasets = dict.fromkeys(settings.datasets)
    data = next(iter(datasets)) if len(datasets) == 1 else "made-up ratings for each size"
    fixed = {
        "batch-size": f"batch {settings.batch_size}",
        "embedding-dimension": f"width {settings.embedding_dimension}",
        "threads": f"{settings.threads} threads",
    }
    others = [words for name, words in fixed.items() if name != settings.over]
    counts = [one.processes for one in sweep.measured if one.processes]
    over = f"; 95 % intervals over {min(counts)} processes" if counts and min(counts) > 1 else ""
    return f"{data}, {', '.join(others)}{over}"
