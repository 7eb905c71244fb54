"""The parity of all cells of several reports together, whatever environment or machine each was measured on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

from bench.errors import BenchError
from bench.parity.backend_oracle import Referred, with_references
from bench.parity.custom_judge import judge_together
from bench.parity.custom_references import from_report
from bench.parity.divergence import divergences
from bench.parity.joinable import common_references, require_joinable
from bench.parity.judge import judge
from bench.parity.recorded import DAMAGED, SAME, require_as_recorded
from bench.parity.stages import BIAS_TRACE
from bench.parity.trainings import judging_envelopes, trajectories
from bench.report.predictions import NamedReport
from bench.schema.parity import Divergence, ParityResult, breaks_parity
from bench.schema.record import Record
from bench.schema.run import Run
from movierank.data.splits import Split

PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-metal", "tf-nightly", "intel-tensorflow")}


class JoinedReport(Record, frozen=True, kw_only=True):
    """One of the reports.

    Attributes:
        name: by which it is told from the others.
        created: start of its measurement, ISO 8601 in UTC.
        machine: the processor, and the GPUs where there are any.
        keras: its version; None where it was not recorded.
        backends: version of each backend that was trained with; None where it was not recorded.
        cells: names of its cells in `JoinedParity`, by name of the cell in the report itself.
        seeds: of the initial weights of its trainings.
    """

    name: str
    created: str
    machine: str
    keras: str | None
    backends: dict[str, str | None]
    cells: dict[str, str]
    seeds: list[int]


class JoinedParity(Record, frozen=True, kw_only=True):
    """Whether the trainings of several reports are the same model.

    Attributes:
        reports: in the order given.
        results: one record a pair of cells and stage, cells named as in `JoinedReport.cells`.
        divergences: where pairs of trainings first part, one a pair whose first steps were recorded.
        notes: sentences on what was not compared.
        failed: whether a cell of a report has no finished training though it was not skipped.
    """

    reports: list[JoinedReport]
    results: list[ParityResult]
    divergences: list[Divergence]
    notes: list[str]
    failed: bool

    @property
    def outside(self) -> list[ParityResult]:
        """What breaks parity: outside the envelope, not known, and in float32."""
        return list(filter(breaks_parity, self.results))


def join(reports: Sequence[NamedReport], split: Split) -> JoinedParity:
    """Judges the trainings of all reports together, from what the reports store and their ratings.

    Args:
        reports: at least one, with names that differ.
        split: of their ratings.

    Raises:
        BenchError: the reports cannot be joined, or one does not record what its predictions say.
    """
    require_joinable(reports)
    references = common_references(reports, split)
    own = [require_as_recorded(report, references) for report in reports]
    name = naming(reports)
    found = [
        trajectory
        for report in reports
        for trajectory in trajectories(
            report.report.runs, report.arrays, name(report), judging_envelopes(report.report)
        )
    ]
    # Of one report, that was the judgement already.
    results = (
        own[0]
        if len(reports) == 1
        else judge(found, references.references, references.test, reports[0].report.workload.epochs)
    )
    return JoinedParity(
        reports=[described(report, name(report)) for report in reports],
        results=results,
        divergences=divergences(found, references.references),
        notes=notes_on(reports),
        failed=any(report.failed for report in reports),
    )


def naming(reports: Sequence[NamedReport]) -> Callable[[NamedReport], Callable[[Run], str]]:
    """Returns how to name the runs of a report: by their cell, and by the report too where another has the cell."""
    holders = Counter(cell for report in reports for cell in {run.cell for run in report.report.runs if run.trained})

    def of_report(report: NamedReport) -> Callable[[Run], str]:
        return lambda run: f"{report.name}:{run.cell}" if holders[run.cell] > 1 else str(run.cell)

    return of_report


def described(report: NamedReport, name: Callable[[Run], str]) -> JoinedReport:
    """Returns what is told of one of the reports, its runs named by `name`."""
    trained = [run for run in report.report.runs if run.trained]
    packages = report.report.software.packages
    machine = report.report.machine
    return JoinedReport(
        name=report.name,
        created=report.report.created,
        machine=", ".join([machine.cpu_model, *(gpu.name for gpu in machine.gpus)]),
        keras=packages.get("keras"),
        backends={
            backend: next((packages[p] for p in PACKAGES.get(backend, (backend,)) if p in packages), None)
            for backend in dict.fromkeys(run.backend for run in trained)
        },
        cells={str(run.cell): name(run) for run in trained},
        seeds=sorted(report.seeds),
    )


def notes_on(reports: Sequence[NamedReport]) -> list[str]:
    """Returns sentences on what was not compared."""
    notes = [f"{report.name} holds no finished training." for report in reports if not report.seeds]
    notes += [
        f"{report.name}: no training of {cell} was finished: {why}."
        for report in reports
        for cell, why in report.failed
    ]
    return notes + [
        f"{a.name} and {b.name} have no seed in common, so their cells were compared with the oracle alone."
        for a, b in combinations(reports, 2)
        if a.seeds and b.seeds and not a.seeds & b.seeds
    ]


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
    """Returns what each number of a bias trace is called, as `bench.worker.workloads.recorder.trace_names` does.

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
