"""What is measured: what both workloads have in common.

The built-in one is `bench.measure.ranking_workload`, a custom one `bench.measure.custom_workload`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure.options import Options
from bench.measure.plan import Side
from bench.measure.recorder import Recorder
from bench.parity.distances import Training
from bench.parity.divergence import divergences
from bench.parity.judge import judge
from bench.parity.rules import Rules
from bench.parity.stored import to_arrays
from bench.parity.trainings import (
    Parity,
    Place,
    Reference,
    ReferenceKey,
    Trajectory,
    envelopes_of,
    trajectories,
)
from bench.report.predictions import MOST_STORED
from bench.report.reference_rmse import reference_rmse
from bench.report.scores import seed_scores
from bench.schema.cell import Cell, precision_of
from bench.schema.derived import ReferenceRmse, TimeToTarget
from bench.schema.messages import CustomJob, Job
from bench.schema.parity import COPIES
from bench.schema.run import Run, Workload
from bench.system.interrupts import interruptible

Say = Callable[[str], None]  # called with a line before what takes time, and on what could not be trained

PARITY_EXAMPLES = 2_000_000  # the oracle needs some 5 s for a million examples; above this, parity only on request
EARLY_PARAMETERS = 2_000_000  # in the tables; six copies of more would make predictions.npz too large to keep


@dataclass(frozen=True, kw_only=True)
class Subject(ABC):
    """A workload as it is measured.

    Attributes:
        options: what to measure and how.
        record: description of the workload for the report.
    """

    options: Options
    record: Workload

    @property
    def judged(self) -> bool:
        """Whether parity is judged: as asked for, else where it takes seconds; never where it means nothing."""
        options, record = self.options, self.record
        if record.not_judged is not None or record.init == "backend":
            return False
        if options.parity is not None:
            return options.parity
        return options.envelope == "backend" or record.num_train * record.epochs <= PARITY_EXAMPLES

    @property
    def stored_predictions(self) -> int:
        """Number of test examples whose predictions are stored."""
        return MOST_STORED

    def custom_job(self, seed: int) -> CustomJob | None:
        """Return the part of a job that only a custom workload has."""
        return None

    def job(self, cell: Cell, process: int, folder: Path) -> Job:
        """Return the job of a cell's process, which leaves its files in `folder`."""
        options, record = self.options, self.record
        tables = (record.num_users + record.num_movies) * record.embedding_dimension
        parameters = tables if record.parameters is None else record.parameters
        seed = process % options.seeds
        name = f"{cell.backend}-{cell.device}-{cell.loop}"
        return Job(
            backend=cell.backend,
            device=cell.device,
            loop=cell.loop,
            process=process,
            seed=seed,
            threads=options.threads,
            dataset=record.dataset,
            data_source=options.data_source,
            data_path=None if options.data_path is None else str(options.data_path.absolute()),
            sha256=record.sha256,
            split=record.split,
            batch_size=record.batch_size,
            epochs=record.epochs,
            embedding_dimension=record.embedding_dimension,
            learning_rate=record.learning_rate,
            init=options.init,
            round_s=options.round_s,
            predictions=str((folder / f"{name}-{process}.npz").absolute()),
            stored_predictions=self.stored_predictions,
            precision=precision_of(cell),
            trains=options.trains,
            compile_cache=str((folder / name.replace(":", "-")).absolute()),
            early_stages=self.judged and process == 0 and parameters <= EARLY_PARAMETERS,
            custom=self.custom_job(seed),
        )

    @property
    @abstractmethod
    def rules(self) -> Rules:
        """Rules by which trainings are judged."""

    @abstractmethod
    def train_reference(
        self, place: Place | None, seed: int, judged: Sequence[Trajectory], side: Side, folder: Path, say: Say
    ) -> Reference | None:
        """Train the reference of one place and seed; None where it cannot be trained.

        Args:
            place: place of the reference; None for the NumPy oracle.
            seed: seed of the initial weights.
            judged: trainings that are to be judged by it.
            side: side whose runs are judged; its jobs train the references of a custom workload.
            folder: for files that are of no use afterwards.
            say: called with a line on what could not be trained.

        Raises:
            BenchError: the NumPy oracle cannot be trained.
            KeyboardInterrupt: passed on; no process is left.
        """

    def judge(self, side: Side, folder: Path, say: Say) -> Parity:
        """Compare every completed training of a side with its oracle and with every other of its seed.

        Args:
            side: side whose rounds are all measured.
            folder: for files that are of no use afterwards.
            say: called with a line before what takes time, and on what could not be trained.

        Raises:
            BenchError: the NumPy oracle cannot be trained.
            KeyboardInterrupt: passed on; no process is left.
        """
        recorder, rules = side.recorder, self.rules
        found = trajectories(recorder.report, recorder.arrays)
        judged: dict[ReferenceKey, list[Trajectory]] = {}
        for trajectory in found:
            judged.setdefault(rules.key(trajectory), []).append(trajectory)
        references = {}
        for number, key in enumerate(sorted(judged), start=1):
            place, seed = key
            oracle = "the float64 oracle" if place is None else f"the float64 oracle of {place}"
            say(f"Training {oracle} and {COPIES} float32 copies, seed {seed} ({number} of {len(judged)})")
            if (reference := self.train_reference(place, seed, judged[key], side, folder, say)) is not None:
                references[key] = reference
        with interruptible():
            sides = rules.sides(found, references)
            oracles = {side.seed: side.oracle.training for side in sides if side.oracle is not None}
            return Parity(
                results=judge(sides, rules),
                envelopes=envelopes_of(references),
                divergences=divergences(sides, rules),
                reference_rmse=self._reference_rmse(recorder.runs, oracles),
                arrays=to_arrays(references),
            )

    def _reference_rmse(self, runs: Sequence[Run], oracles: Mapping[int, Training]) -> list[ReferenceRmse]:
        """Compare the test RMSE with the oracle's of the same seed, where the whole test part is predicted."""
        test = self.rules.test
        if test is None or len(test.label) < self.record.num_test:
            return []
        rmses = {seed: float(oracle.values["rmse"][0]) for seed, oracle in sorted(oracles.items())}
        return reference_rmse(seed_scores(runs), rmses)

    @abstractmethod
    def time_to_target(self, recorder: Recorder) -> list[TimeToTarget]:
        """Return how long each cell trains until its test score is at the target or better."""
