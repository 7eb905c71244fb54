"""The parity of all cells of several reports together, whatever environment or machine each was measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

from bench.parity.divergence import divergences
from bench.parity.joinable import require_joinable
from bench.parity.judge import judge
from bench.parity.recorded import require_as_recorded
from bench.parity.stored import references_of
from bench.parity.trainings import trajectories
from bench.report.predictions import NamedReport
from bench.schema.parity import Divergence, ParityResult, breaks_parity
from bench.schema.record import Record
from bench.schema.run import Run
from movierank.data.splits import Split

PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-metal", "tf-nightly", "intel-tensorflow")}


class JoinedReport(Record, frozen=True, kw_only=True):
    """One of the reports.

    Attributes:
        name: name that no other of the reports has.
        created: start of the measurement, ISO 8601 in UTC.
        machine: the processor, and the GPUs where there are any.
        keras: version of Keras; None where it was not recorded.
        backends: version of each backend that was trained with; None where it was not recorded.
        cells: names of its cells in `JoinedParity`, by name of the cell in the report itself.
        seeds: seeds of the initial weights of its trainings.
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
        reports: one record a report, in the order given.
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


def join(reports: Sequence[NamedReport], split: Split | None) -> JoinedParity:
    """Judge the trainings of all reports together, from what the reports store and the ratings.

    Args:
        reports: at least one, each with another name.
        split: the split of the built-in workload's ratings; None for a custom workload.

    Raises:
        BenchError: the reports cannot be joined, or one does not record what its predictions say.
    """
    require_joinable(reports)
    stored = references_of(reports, split)
    rules, name = stored.rules, naming(reports)
    alone = [require_as_recorded(report, rules, own) for report, own in zip(reports, stored.alone, strict=True)]
    sides = [
        side
        for report, references in zip(reports, stored.together, strict=True)
        for side in rules.sides(trajectories(report.report, report.arrays, name(report)), references)
    ]
    return JoinedParity(
        reports=[described(report, name(report)) for report in reports],
        results=alone[0] if len(reports) == 1 else judge(sides, rules),
        divergences=divergences(sides, rules),
        notes=notes_on(reports),
        failed=any(report.failed for report in reports),
    )


def naming(reports: Sequence[NamedReport]) -> Callable[[NamedReport], Callable[[Run], str]]:
    """Return how to name the runs of a report: by their cell, and by the report too where another has the cell."""
    holders = Counter(cell for report in reports for cell in {run.cell for run in report.report.runs if run.trained})

    def of_report(report: NamedReport) -> Callable[[Run], str]:
        return lambda run: f"{report.name}:{run.cell}" if holders[run.cell] > 1 else str(run.cell)

    return of_report


def described(report: NamedReport, name: Callable[[Run], str]) -> JoinedReport:
    """Return the record of one of the reports, its runs named by `name`."""
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
    """Return sentences on what was not compared."""
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
