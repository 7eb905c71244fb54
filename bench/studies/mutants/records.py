"""What `python -m bench mutants` found, as it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.schema.machine import Machine, Software
from bench.schema.parity import ParityResult, Verdict, group_of, share_of_envelope
from bench.schema.record import Record
from bench.studies.mutants.catalogue import LAST_EPOCH


class StageRatio(Record, frozen=True, kw_only=True):
    """One training beside the float64 oracle at one stage.

    Attributes:
        stage: as in `bench.parity.stages`.
        ratio: distance over what rounding explains; None where the distance is not finite.
        verdict: `within` or `outside`.
        known: as in `bench.schema.parity.ParityResult`.
    """

    stage: str
    ratio: float | None
    verdict: Verdict
    known: str | None = None

    @property
    def alarms(self) -> bool:
        """Whether this is a difference that nothing known explains."""
        return self.verdict == "outside" and self.known is None

    @property
    def group(self) -> str:
        """The stage without the name of a weight."""
        return group_of(self.stage)


class FaultResult(Record, frozen=True, kw_only=True):
    """One planted fault.

    Attributes:
        name: in `bench.studies.mutants.catalogue`.
        what: it does.
        earliest: the group of stages at which it can be seen first; empty where it cannot be seen.
        batch_size: examples a step.
        seed: of the initial weights.
        invisible: why it cannot be seen; None where it can.
        stages: in the order of training, each beside the oracle without the fault.
        test_rmse: as the training reports it; None where it broke off.
        clean_test_rmse: of the same training without the fault.
        error: why the training broke off; None where it did not.
    """

    name: str
    what: str
    earliest: str
    batch_size: int
    seed: int
    invisible: str | None
    stages: list[StageRatio]
    test_rmse: float | None
    clean_test_rmse: float
    error: str | None = None

    @property
    def first(self) -> StageRatio | None:
        """Where it is outside first; None where it never is."""
        return next((stage for stage in self.stages if stage.alarms), None)

    @property
    def found(self) -> bool:
        """Whether it is outside at some stage, and first at the earliest at which it can be."""
        return self.first is not None and self.first.group == self.earliest

    @property
    def as_expected(self) -> bool:
        """Whether it was found, or was not where it cannot be."""
        return self.error is None and (self.found if self.invisible is None else self.first is None)


class CleanTrainings(Record, frozen=True, kw_only=True):
    """Trainings without a fault from one seed's initial weights, each judged as a report of its own.

    Attributes:
        trained_by: a backend, or `float32 oracle` with a new order of examples, units and dimensions each time.
        seed: of the initial weights.
        batch_size: examples a step.
        trainings: how many.
        flipped: how many of them had a relu open or close for one example of the first batch
            (`bench.parity.numpy_oracle`).
        stages: the training with the largest ratio at each stage.
        alarms: what was outside and not known.
        test_rmse: of the last training, by a backend; None of the oracle.
    """

    trained_by: str
    seed: int
    batch_size: int
    trainings: int
    flipped: int
    stages: list[StageRatio]
    alarms: list[StageRatio]
    test_rmse: float | None = None


class Mutants(Record, frozen=True, kw_only=True):
    """What was said of trainings with a planted fault, and of trainings without.

    Attributes:
        created: UTC.
        machine, software: as in a report.
        backend: that trained, on the CPU.
        dataset, sha256, split, epochs, learning_rate: as in `bench.schema.run.Workload`.
        faults: in the order of `bench.studies.mutants.catalogue`.
        clean: by the backend, then by the oracle.
    """

    created: str
    machine: Machine
    software: Software
    backend: str
    dataset: str
    sha256: str
    split: str
    epochs: int
    learning_rate: float
    faults: list[FaultResult]
    clean: list[CleanTrainings]

    @property
    def false_alarms(self) -> int:
        """How many stages of trainings without a fault were outside and not known."""
        return sum(len(block.alarms) for block in self.clean)

    @property
    def as_expected(self) -> bool:
        """Whether every fault was found where it can be, and nothing else."""
        return not self.false_alarms and all(fault.as_expected for fault in self.faults)


def ratios(results: Iterable[ParityResult]) -> list[StageRatio]:
    """Return the ratios of one training's comparisons with the oracle, in their order."""
    return [
        StageRatio(
            stage=result.stage,
            ratio=None if result.rms is None else share_of_envelope(result),
            verdict=result.verdict,
            known=result.known,
        )
        for result in results
    ]


def worst(trainings: Sequence[Sequence[StageRatio]]) -> list[StageRatio]:
    """Return the largest ratio at each stage of trainings with the same stages."""
    return [
        max(stages, key=lambda stage: float("inf") if stage.ratio is None else stage.ratio)
        for stages in zip(*trainings, strict=True)
    ]


def earliest_stage(earliest: str, epochs: int) -> str:
    """Return the group of stages at which a fault of the catalogue first shows in a training of `epochs` epochs."""
    return f"epoch {epochs}" if earliest == LAST_EPOCH else earliest
