"""Two reports, or two sets of pytest-benchmark's files, side by side: what became slower, worse or another model.

A verdict needs an interval, so one process a cell leaves everything `undecided`. Verdicts follow from the samples of
both reports; the derived records that a report stores are for other readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.comparison.changes import changes_between
from bench.comparison.disturbance import disturbed, mixed_rounds
from bench.comparison.drift import ASSUMED
from bench.comparison.drift import NONE as NO_DRIFT
from bench.comparison.limits import NO_ALLOWANCES, USUAL_LIMITS, Allowances, Limits
from bench.comparison.parity import compare_parity
from bench.comparison.records import Comparison, Timed, choose, label_of
from bench.comparison.verdicts import ScoredPair, TimedPair, compare_scores, compare_times
from bench.errors import BenchError
from bench.report.comparable import difference, machine_key, workload_key
from bench.report.rounds import interleaved, turns_of
from bench.report.scores import METRIC_SHARE, seed_scores
from bench.report.summary import step_time_of
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.derived import StepTime
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.caveats import compared_caveats


def compare_reports(
    base: Report,
    new: Report,
    limits: Limits = USUAL_LIMITS,
    allowances: Allowances = NO_ALLOWANCES,
    cells: tuple[str, str] | None = None,
) -> Comparison:
    """Compare two reports cell by cell, or one cell of each.

    Args:
        base: the older report.
        new: the newer report; may be the same.
        limits: largest changes that are allowed.
        allowances: differences and noise in spite of which a verdict is given.
        cells: as `backend/device/loop`, one of `base` and one of `new`; None for all that both have.

    Raises:
        BenchError: a step time in a report is not positive, or a report did not measure its cell.
    """
    workload = difference("workload", workload_key(base), workload_key(new))
    reason = workload or difference("machine", machine_key(base), machine_key(new))
    measured = [{run.cell for run in report.runs if _measured(run)} for report in (base, new)]
    chosen = None if cells is None else _chosen(measured, cells)
    older, newer = View(base), View(new)
    try:
        old, recent = ({row.cell: row for row in view.summary.step_time} for view in (older, newer))
        rows = [(old[a], recent[b]) for a, b in _pairs_of(chosen, old, recent)]
        timed = _timed_pairs(older, newer, rows, (len(old), len(recent)), allowances)
    except ValueError as error:
        raise BenchError(f"A report holds an impossible step time: {error}. Measure it again.") from error
    step_time, step_confidence = compare_times(timed, limits, refuse=reason is not None and not allowances.force)
    scores, score_confidence = compare_scores([] if workload else _scored_pairs(base, new, chosen), limits)
    custom = new.workload.workload is not None
    named = None if chosen is None else (str(chosen[0]), str(chosen[1]))
    parity = compare_parity(base.parity, new.parity, named, same_workload=workload is None)
    return Comparison(
        not_comparable=reason,
        rmse_not_comparable=workload,
        max_regression=limits.max_regression,
        rmse_margin=limits.rmse_margin,
        step_confidence=step_confidence,
        rmse_confidence=score_confidence,
        step_time=step_time,
        rmse=[] if custom else scores,
        metrics=scores if custom else [],
        metric=new.workload.metric,
        better=new.workload.better,
        parity=parity.newly,
        parity_kept=parity.kept,
        parity_mended=parity.mended,
        parity_not_judged=parity.not_judged,
        only_in_base={} if chosen else _absent(measured[0] - measured[1], new.runs),
        only_in_new={} if chosen else _absent(measured[1] - measured[0], base.runs),
        changes=changes_between(base, new),
        drift=next((pair.drift for pair in timed if pair.drift.origin != "none"), NO_DRIFT),
        together=_together(base, new),
        notes=compared_caveats(base, new, rows, together=_together(base, new)),
    )


def _together(base: Report, new: Report) -> bool:
    """Return whether the rounds of both were interleaved."""
    return (
        base.together is not None
        and new.together is not None
        and base.together.id == new.together.id
        and base.together.side != new.together.side
    )


def _chosen(measured: Sequence[set[Cell]], names: tuple[str, str]) -> tuple[Cell, Cell]:
    cells = [{str(cell): cell for cell in side} for side in measured]
    base, new = (choose(name, cells[place], place) for place, name in enumerate(names))
    return base, new


def _pairs_of(cells: tuple[Cell, Cell] | None, old: Iterable[Cell], new: Iterable[Cell]) -> list[tuple[Cell, Cell]]:
    """Return the pairs of cells to compare, in the order of `new`."""
    old, new = set(old), list(new)
    if cells is None:
        return [(cell, cell) for cell in new if cell in old]
    return [cells] if cells[0] in old and cells[1] in new else []


def _timed_pairs(
    base_view: View,
    new_view: View,
    rows: Sequence[tuple[StepTime, StepTime]],
    among: tuple[int, int],
    allowances: Allowances,
) -> list[TimedPair]:
    """Return a pair for each of `rows`; `among` is the number of cells of either report."""
    old, recent = base_view.medians, new_view.medians
    base, new = base_view.report, new_view.report
    noise = None if allowances.ignore_noise else disturbed(base, new)
    one = base == new
    pairs = []
    for older, newer in rows:
        a, b = older.cell, newer.cell
        itself, within = one and a == b, one and a != b
        took_turns = among[0] if within else sum(among)
        beside = (within or _together(base, new)) and interleaved(
            turns_of(base.runs, a, old[a]), turns_of(new.runs, b, recent[b]), took_turns
        )
        mixed = None if allowances.ignore_noise else mixed_rounds(older, newer)
        pair = TimedPair(
            label=label_of(str(a), str(b)),
            base=old[a],
            new=recent[b],
            shown=(_timed(older), _timed(newer)),
            disturbed=None if itself else noise or mixed,
            drift=NO_DRIFT if itself else allowances.drift or ASSUMED,
        )
        if beside:
            # What was measured alone, as after a run that was cut off or had other backends, would bring the drift in.
            pair = replace(
                pair,
                base={process: old[a][process] for process in beside},
                new={process: recent[b][process] for process in beside},
                shown=(
                    _timed(step_time_of(a, base_view.counted[a], beside)),
                    _timed(step_time_of(b, new_view.counted[b], beside)),
                ),
                side_by_side=True,
                disturbed=mixed,  # all else hits both
                drift=NO_DRIFT,
            )
        pairs.append(pair)
    return pairs


def _timed(row: StepTime) -> Timed:
    fields = {name: getattr(row, name) for name in ("median_ms", "ci95_ms", "processes", "rounds")}
    return Timed(name=str(row.cell), **fields)


def _scored_pairs(base: Report, new: Report, cells: tuple[Cell, Cell] | None) -> list[ScoredPair]:
    old, recent = seed_scores(base.runs), seed_scores(new.runs)
    custom = new.workload.workload is not None
    return [
        ScoredPair(
            label=label_of(str(a), str(b)),
            base=old[a],
            new=recent[b],
            higher_is_better=new.workload.better == "higher",
            margin_share=METRIC_SHARE if custom else None,
        )
        for a, b in _pairs_of(cells, old, sorted(recent))
    ]


def _measured(run: Run) -> bool:
    return bool(run.step_time_ms) or run.status == "ok"


def _absent(cells: Iterable[Cell], runs: Sequence[Run]) -> dict[str, str | None]:
    return {str(cell): _why_absent(cell, runs) for cell in sorted(cells)}


def _why_absent(cell: Cell, runs: Sequence[Run]) -> str | None:
    return next((f"{run.status}: {run.error}" if run.error else run.status for run in runs if run.cell == cell), None)
