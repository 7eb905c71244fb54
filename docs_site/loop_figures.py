"""The figures of the three loops from results/: the answer, a row a cell, and the gain of a fast loop."""

from __future__ import annotations

import statistics
from pathlib import Path

from bench.report.file import load_report
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.derived import FirstStep
from bench.schema.profile import GROUPS
from bench.schema.report import Report
from bench.text.headline import headline
from bench.text.numbers import three_digits, with_interval
from bench.text.reduced import relative_words
from docs_site.blocks import Maker
from docs_site.tables import table
from movierank.backends import BACKENDS

FOLDER = "results/loops-2cores"
PAIRS = (("fused", "fit"), ("native", "fit"), ("fused", "native"))
COLUMNS = (
    "backend, loop",
    "ms/step [95 %]",
    "× `fit` [95 %]",
    "× floor",
    "training to RMSE 0.26 [95 %]",
    "first step, cold → warm",
    "final test RMSE, seed 0",
    "memory",
)


def _view(root: Path) -> View:
    return View(load_report(root / FOLDER))


def answer(root: Path) -> str:
    """Return the report's answer as a quotation, without its sentences on who is fastest with another loop."""
    sentences = headline(_view(root)).split(". ")
    return f"> {'. '.join(each for each in sentences if not each.startswith(('With ', 'A native ')))}"


def cells(root: Path) -> str:
    """Return a row for each cell, in the order of backends and loops."""
    view = _view(root)
    report, names = view.report, view.names
    found = sorted((row.cell for row in report.step_time), key=lambda cell: (cell.backend, _place(cell.loop)))
    return table(COLUMNS, [[names[str(cell)], *_figures(report, cell)] for cell in found])


def gains(root: Path) -> str:
    """Return a row for each backend: ratios of its loops."""
    report = _view(root).report
    rows = []
    for backend in sorted(BACKENDS):
        by_loop = {loop: Cell(backend=backend, device="cpu", loop=loop) for loop in ("fit", "fused", "native")}
        rows.append([backend, *(relative_words(report.ratios, by_loop[a], by_loop[b]) for a, b in PAIRS)])
    return table(("backend", *(f"{a} / {b}" for a, b in PAIRS)), rows)


def _place(loop: str) -> int:
    return ("fit", "fused", "native").index(loop)


def yardstick(root: Path) -> str:
    """Return a sentence: how long the Keras model takes on the device beside the same mathematics by hand."""
    report = _view(root).report
    found = []
    for backend in sorted(BACKENDS):
        ours, by_hand = (Cell(backend=backend, device="cpu", loop=loop) for loop in ("fused", "native"))
        found.append(f"{relative_words(report.ratios, ours, by_hand)} ({backend})")
    return f"`fused` takes {', '.join(found[:-1])} and {found[-1]} times as long as `native`."


def profiles(root: Path) -> str:
    """Return a row for each cell: what each kind of work takes of a traced step, in per cent."""
    view = _view(root)
    report, names = view.report, view.names
    times = {row.cell: row.median_ms for row in report.step_time}
    found = sorted(report.profiles, key=lambda profile: (profile.backend, _place(profile.loop)))
    rows = []
    for profile in found:
        shares = {share.group: share.share for share in profile.shares}
        counts = (f"{100 * shares.get(group, 0):.0f}" for group in GROUPS)
        rows.append(
            [names[str(profile.cell)], three_digits(times[profile.cell]), three_digits(profile.step_ms), *counts]
        )
    return table(("", "ms/step", "traced ms", *GROUPS), rows)


def _figures(report: Report, cell: Cell) -> list[str]:
    runs = [run for run in report.runs if run.cell == cell]
    (time,) = (row for row in report.step_time if row.cell == cell)
    target = next((row for row in report.time_to_target if row.cell == cell), None)
    rmse = next(run.test_rmse for run in runs if run.seed == 0 and run.test_rmse is not None)
    return [
        with_interval(time.median_ms, time.ci95_ms),
        relative_words(report.ratios, cell, Cell(backend=cell.backend, device=cell.device, loop="fit")),
        next((three_digits(floor.times_best_floor) for floor in report.floors if floor.cell == cell), "–"),
        "–" if target is None or target.typical_s is None else with_interval(target.typical_s, target.ci95_s, " s"),
        next((_first_step(row) for row in report.first_steps if row.cell == cell), "–"),
        f"{rmse:.5f}",
        f"{statistics.median(run.peak_rss_mib for run in runs if run.peak_rss_mib is not None):.0f} MiB",
    ]


def _first_step(row: FirstStep) -> str:
    # From ten seconds on a hundredth means nothing.
    cold, warm = row.cold_s, row.warm_s
    if cold is None or warm is None:
        return "–" if cold is None else f"{cold:.2f} s"
    digits = 1 if cold >= 9 else 2
    return f"{cold:.{digits}f} → {warm:.{digits}f} s"


MAKERS: dict[str, Maker] = {
    "answer": answer,
    "loops": cells,
    "gains": gains,
    "yardstick": yardstick,
    "profiles": profiles,
}
