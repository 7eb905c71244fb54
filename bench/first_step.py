"""First steps of each cell, those that had to compile apart from those that found compiled code."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.report import FirstStep, Run


def first_steps(runs: Sequence[Run]) -> list[FirstStep]:
    """Returns one record a cell with at least one first step, in the order of the runs."""
    by_cell: dict[str, list[Run]] = {}
    for run in runs:
        if run.first_step_s is not None:
            by_cell.setdefault(str(run.cell), []).append(run)
    return [_first_step(of_cell) for of_cell in by_cell.values()]


def _first_step(runs: Sequence[Run]) -> FirstStep:
    warm = [run.first_step_s for run in runs if run.compile_cache == "warm" and run.first_step_s is not None]
    cold = [run.first_step_s for run in runs if run.compile_cache != "warm" and run.first_step_s is not None]
    return FirstStep(
        backend=runs[0].backend,
        device=runs[0].device,
        loop=runs[0].loop,
        cold_s=statistics.median(cold) if cold else None,
        cold_processes=len(cold),
        warm_s=statistics.median(warm) if warm else None,
        warm_processes=len(warm),
    )


def first_step_lines(rows: Sequence[FirstStep], names: Mapping[str, str]) -> list[str]:
    """Returns a line on what compiled code on disk saves; nothing where no framework kept any.

    Args:
        rows: of one report.
        names: how each cell is called, as `bench.headline.short_names` returns it.
    """
    parts = [
        f"{names.get(str(row.cell), str(row.cell))} {row.cold_s:.2f} → {row.warm_s:.2f} s"
        for row in rows
        if row.cold_s is not None and row.warm_s is not None
    ]
    return [f"First step, cold → with compiled code from an earlier process: {', '.join(parts)}."] if parts else []
