"""Which cell trains fastest on a device, in plain sentences, and what a fast loop gains over `fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.schema.cell import Cell, bare_loop
from bench.schema.derived import Ratio, StepTime
from bench.text.numbers import listed, three_digits, with_interval
from bench.text.reduced import relative_step_time
from movierank.loops import LOOP_NAMES


def speed_sentences(
    where: str, rows: Sequence[StepTime], ratios: Sequence[Ratio], names: Mapping[str, str]
) -> list[str]:
    """Return who is fastest on one device, loop by loop where there are several, a sentence each.

    A cell is called fastest only where the interval of every ratio to it lies above 1.

    Args:
        where: beginning of the sentence, such as `On this CPU`.
        rows: step times of one device, fastest first.
        ratios: ratios of step times.
        names: short name of each cell, by its full name.
    """
    loops = sorted({_loop(row) for row in rows}, key=_order)
    if len(loops) == 1:
        return [f"{where} {_fastest(rows, ratios, names)}."]
    if len({row.backend for row in rows}) == 1:
        return [f"{where} {_fastest(rows, ratios, names)}.", *_gains(rows, loops, ratios)]
    parts = []
    for place, loop in enumerate(loops):
        # Within its own sentence a loop need not be named again.
        of_loop = [row for row in rows if _loop(row) == loop]
        backends = {str(row.cell): row.backend for row in of_loop}
        parts.append(f"{f'{where} with' if place == 0 else 'With'} {loop}, {_fastest(of_loop, ratios, backends)}.")
    return [*parts, *_gains(rows, loops, ratios)]


def is_slower(row: Ratio | None) -> bool:
    """Return whether the whole interval lies above 1."""
    return row is not None and row.ci95 is not None and row.ci95[0] > 1


def times(row: Ratio) -> str:
    """Return for example `2.08 × [2.03, 2.13]`."""
    return with_interval(row.ratio, row.ci95, " ×")


def _fastest(rows: Sequence[StepTime], ratios: Sequence[Ratio], names: Mapping[str, str]) -> str:
    taken = {str(row.cell): f"{three_digits(row.median_ms)} ms/step" for row in rows}
    best, *others = taken
    if not others:
        return f"{names[best]} takes {taken[best]}"
    found = {(row.a, row.b): row for row in ratios}
    slower = {cell: found[cell, best] for cell in others if is_slower(found.get((cell, best)))}
    close = [cell for cell in others if cell not in slower]
    tail = "".join(f"; {names[cell]} takes {times(row)} as long" for cell, row in slower.items())
    if not close:
        return f"{names[best]} trains fastest: {taken[best]}{tail}"
    contenders = listed(f"{names[cell]} ({taken[cell]})" for cell in [best, *close])
    if all(row.processes == 1 for row in rows):
        return f"one process each measured {contenders}; that gives no interval, so it settles nothing"
    return f"it is too close to call between {contenders}{tail and f'{tail} as {names[best]}'}"


def _gains(rows: Sequence[StepTime], loops: Sequence[str], ratios: Sequence[Ratio]) -> list[str]:
    """Return a sentence a loop: what a step of it takes on each backend, `fit` being 1."""
    if loops[0] != "fit":
        return []
    sentences = []
    for loop in loops[1:]:
        gains = []
        for backend in dict.fromkeys(row.backend for row in rows):
            device = rows[0].device
            cell, base = (Cell(backend=backend, device=device, loop=name) for name in (loop, "fit"))
            if (ratio := relative_step_time(ratios, cell, base)) is not None:
                gains.append(f"{with_interval(*ratio, ' ×')} ({backend})")
        if gains:
            sentences.append(f"A {loop} step takes {listed(gains)} as long as with fit.")
    return sentences


def _loop(row: StepTime) -> str:
    return bare_loop(row.loop)


def _order(loop: str) -> tuple[int, str]:
    return (LOOP_NAMES.index(loop) if loop in LOOP_NAMES else len(LOOP_NAMES), loop)
