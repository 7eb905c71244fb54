"""The parity of all cells of several reports of one workload of the user's own, as `bench.joined_parity` otherwise.

Each training has the oracle and the envelope of its own report, backend and seed, as it had when it was measured, and
pairs are compared across reports by both envelopes (`bench.own_parity`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.errors import BenchError
from bench.joinable import NamedReport, require_joinable
from bench.joined_parity import JoinedParity, described, naming, notes_on
from bench.own_parity import Referred, judge_together, with_references
from bench.own_references import from_report
from bench.parity_check import trajectories
from bench.parity_records import ParityResult
from bench.recorded_parity import DAMAGED, SAME
from bench.report import Run
from bench.stages import BIAS_TRACE


def join_own(reports: Sequence[NamedReport]) -> JoinedParity:
    """Judges the trainings of all reports together, from what the reports store.

    Args:
        reports: at least one, of one workload of the user's own, with names that differ.

    Raises:
        BenchError: the reports cannot be joined, or one does not record what its predictions say.
    """
    require_joinable(reports)
    for report in reports:
        _require_as_recorded(report)
    name = naming(reports)
    found = [training for report in reports for training in _trainings(report, name(report))]
    tables = reports[0].report.workload.tables
    results, divergences = judge_together(found, tables, _trace_names(found))
    return JoinedParity(
        reports=[described(report, name(report)) for report in reports],
        results=results,
        divergences=divergences,
        notes=notes_on(reports),
        failed=any(report.failed for report in reports),
    )


def _trainings(report: NamedReport, name: Callable[[Run], str] = lambda run: "") -> list[Referred]:
    found = trajectories(report.report.runs, report.arrays, name)
    return with_references(found, from_report(report), report.report.workload.tables)


def _require_as_recorded(report: NamedReport) -> None:
    """Judges a report alone, and compares what comes of it with what it records.

    Raises:
        BenchError: a metric or a record of parity is not what the predictions give.
    """
    found = _trainings(report)
    stored = {(t.trajectory.cell, t.trajectory.process): t.trajectory.values for t in found}
    metric = f"test {report.report.workload.metric}"
    for run in report.report.runs:
        values = stored.get((run.cell, run.process), {})
        if run.test_metric is not None and metric in values and not _same(run.test_metric, float(values[metric][0])):
            raise BenchError(
                f"{report.name} records a {metric} of {run.test_metric:.6g} for process {run.process} of {run.cell}, "
                f"and its predictions.npz {values[metric][0]:.6g}; {DAMAGED}"
            )
    worked_out, _ = judge_together(found, report.report.workload.tables, _trace_names(found))
    recorded = {(result.a, result.b, result.stage): result for result in report.report.parity}
    now = {(result.a, result.b, result.stage): result for result in worked_out}
    for key in sorted(recorded.keys() | now.keys()):
        if key not in recorded or key not in now or not _same_record(recorded[key], now[key]):
            a, b, stage = key
            raise BenchError(f"{report.name} records otherwise of {a} and {b} at {stage} than it stores; {DAMAGED}")


def _same_record(recorded: ParityResult, now: ParityResult) -> bool:
    return (
        (recorded.verdict, recorded.known) == (now.verdict, now.known)
        and _same(recorded.rms, now.rms)
        and _same(recorded.envelope, now.envelope)
    )


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=SAME)


def _trace_names(trainings: Sequence[Referred]) -> list[str]:
    """Returns what each number of a bias trace is called, as `bench.own_recorder.trace_names` does.

    The moved weights of the first step are stored in the model's order; of those, vectors are traced.
    """
    for training in trainings:
        values = training.trajectory.values
        if BIAS_TRACE in values:
            moved = {stage: array for stage, array in values.items() if stage.startswith("weights 1/")}
            names = [
                f"{stage.partition('/')[2]}[{place}]"
                for stage, array in moved.items()
                if array.ndim == 1
                for place in range(len(array))
            ]
            return names[: values[BIAS_TRACE].shape[1]]
    return []
