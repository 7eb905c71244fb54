"""The figures of the sweeps in results/: a step at each value, the cost model of each curve, and where rows pay."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median

import msgspec

from bench.schema.cell import short_names
from bench.statistics.intervals import typical
from bench.studies.sweep.records import Measured, load_sweep
from bench.studies.sweep.table import model_in_words
from bench.text.numbers import three_digits, with_interval
from docs_site.blocks import Maker
from docs_site.tables import table


def table_rows(root: Path) -> str:
    """Return a row for each backend and loop: a step's time by the rows of both tables, in ms, with its interval."""
    sweep = load_sweep(root / "results/sweep/table-rows")
    header = ("backend, loop", *(f"{value:,} rows" for value in sweep.settings.values))
    found = {(str(one.cell), one.value): one for one in sweep.measured}
    names = short_names(sweep.settings.cells)
    return table(
        header,
        [
            [name, *(_time(found.get((cell, value))) for value in sweep.settings.values)]
            for cell, name in sorted(names.items())
        ],
    )


def batch_models(root: Path) -> str:
    """Return the cost model of each curve over batch sizes in words, an item each."""
    sweep = load_sweep(root / "results/sweep/batch-size")
    names = short_names(sweep.settings.cells)
    found = sorted((names[str(one.cell)], model_in_words(one.model, sweep.settings.over)) for one in sweep.models)
    return "\n".join(f"- {name}: {words}" for name, words in found)


def batch_rates(root: Path) -> str:
    """Return a row for each backend and loop: thousands of examples a second, and the peak memory at the ends."""
    sweep = load_sweep(root / "results/sweep/batch-size")
    values = sweep.settings.values
    found = {(str(one.cell), one.value): one for one in sweep.measured}
    header = ("backend, loop", *(f"{value:,}" for value in values), f"MiB at {values[0]:,}", f"at {values[-1]:,}")
    rows = []
    for cell, name in sorted(short_names(sweep.settings.cells).items()):
        points = [found.get((cell, value)) for value in values]
        rows.append([name, *map(_rate, points), _memory(points[0]), _memory(points[-1])])
    return table(header, rows)


def rows_or_tables(root: Path) -> str:
    """Return a row for each backend: the step by rows over that by whole tables, by the rows of both tables."""
    lines = (root / "results/rows-or-tables/batch-1000.jsonl").read_bytes().splitlines()
    found = msgspec.json.decode(b"[" + b",".join(lines) + b"]", type=list[_Timed])
    sizes = sorted({one.rows for one in found})
    ratios: dict[tuple[str, int], list[float]] = defaultdict(list)
    for one in found:  # a process each
        ratios[one.backend, one.rows].append(median(a / b for a, b in zip(one.by_rows, one.by_tables, strict=True)))
    rows = []
    for backend in sorted({backend for backend, _ in ratios}):
        estimates = (typical(ratios[backend, size]) for size in sizes)
        rows.append([backend, *(with_interval(each.value, each.ci95) for each in estimates)])
    return table(("backend", *(f"{size:,} rows" for size in sizes)), rows)


class _Timed(msgspec.Struct):
    """A line of `docs/reproductions/rows_or_tables.py`: the times of one process at one size."""

    backend: str
    rows: int
    by_rows: list[float]
    by_tables: list[float]


def _time(one: Measured | None) -> str:
    return "–" if one is None else with_interval(one.step_time_ms, one.ci95_ms)


def _rate(one: Measured | None) -> str:
    return "–" if one is None or one.examples_per_s is None else three_digits(one.examples_per_s / 1000)


def _memory(one: Measured | None) -> str:
    return "–" if one is None or one.peak_rss_mib is None else f"{one.peak_rss_mib:,.0f}"


MAKERS: dict[str, Maker] = {
    "table-rows": table_rows,
    "batch-size": batch_rates,
    "batch-size-models": batch_models,
    "rows-or-tables": rows_or_tables,
}
