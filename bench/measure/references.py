"""Judge a report's parity: train the references that its runs need, and compare all runs with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec.structs import replace

from bench.errors import BenchError
from bench.measure.plan import Side
from bench.measure.process import WorkerLostError
from bench.measure.recorder import Recorder
from bench.parity.backend_oracle import reference_of
from bench.parity.distances import TestPart
from bench.parity.divergence import divergences
from bench.parity.judge import judge
from bench.parity.numpy_process import EnvelopeRequest, measure_in_process
from bench.parity.rules import BackendRules, NumpyRules, Rules
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.stored import to_arrays
from bench.parity.trainings import (
    Parity,
    Place,
    Reference,
    ReferenceKey,
    Trajectory,
    envelopes_of,
    judging_envelopes,
    known_deviation,
    trajectories,
)
from bench.report.predictions import MOST_STORED, load_arrays
from bench.report.reference_rmse import reference_rmse
from bench.report.scores import seed_scores
from bench.schema.cell import Cell
from bench.schema.messages import Described, Job, Ready, Train, Trained, log_name
from bench.schema.parity import COPIES
from bench.schema.run import Workload
from bench.system.interrupts import interruptible
from movierank.data.ratings import Ratings
from movierank.data.splits import Split
from movierank.weights import Weights, initial_weights

Say = Callable[[str], None]  # called with a line before what takes time, and on what could not be trained


class ReferenceTrainer(Protocol):
    """Trains what the trainings of one workload are judged by."""

    @property
    def rules(self) -> Rules:
        """Rules by which they are judged."""

    def train(self, place: Place | None, seed: int, judged: Sequence[Trajectory], say: Say) -> Reference | None:
        """Train the reference of one place and seed; None where it cannot be trained.

        Args:
            place: place of the reference; None for the NumPy oracle.
            seed: seed of the initial weights.
            judged: trainings that are to be judged by it.
            say: called with a line on what could not be trained.

        Raises:
            BenchError: the NumPy oracle cannot be trained.
            KeyboardInterrupt: passed on; no process is left.
        """


def check_parity(recorder: Recorder, trainer: ReferenceTrainer, say: Say) -> Parity:
    """Compare every completed training with its oracle and with every other of its seed.

    Args:
        recorder: holds the runs and what they left behind.
        trainer: trains the references.
        say: called with a line before what takes time, and on what could not be trained.

    Raises:
        BenchError: the NumPy oracle cannot be trained.
        KeyboardInterrupt: passed on; no process is left.
    """
    report, rules = recorder.report, trainer.rules
    found = trajectories(recorder.runs, recorder.arrays, cell_envelopes=judging_envelopes(report))
    judged: dict[ReferenceKey, list[Trajectory]] = {}
    for trajectory in found:
        judged.setdefault(rules.key(trajectory), []).append(trajectory)
    references = {}
    for number, key in enumerate(sorted(judged), start=1):
        place, seed = key
        where = "" if place is None else f" of {place}"
        say(f"Training the float64 oracle{where} and {COPIES} float32 copies, seed {seed} ({number} of {len(judged)})")
        if (reference := trainer.train(place, seed, judged[key], say)) is not None:
            references[key] = reference
    with interruptible():
        sides = rules.sides(found, references)
        oracles = {side.seed: side.oracle.training for side in sides if side.oracle is not None}
        whole = rules.test is not None and len(rules.test.label) == report.workload.num_test
        rmses = {seed: float(oracles[seed].values["rmse"][0]) for seed in sorted(oracles)} if whole else {}
        return Parity(
            results=judge(sides, rules),
            envelopes=envelopes_of(references),
            divergences=divergences(sides, rules),
            reference_rmse=reference_rmse(seed_scores(recorder.runs), rmses) if whole else [],
            arrays=to_arrays(references),
        )


@dataclass(frozen=True)
class NumpyTrainer:
    """Trains the references of the built-in workload, each in a process of its own.

    Attributes:
        workload: workload of the report.
        split: split that the runs trained on.
        threads: float32 copies of the oracle trained at the same time.
        folder: for files that are of no use afterwards.
    """

    workload: Workload
    split: Split
    threads: int
    folder: Path

    @property
    def rules(self) -> NumpyRules:
        """Rules of the built-in workload."""
        return NumpyRules(test=stored_part(self.split), epochs=self.workload.epochs)

    def train(self, place: Place | None, seed: int, judged: Sequence[Trajectory], say: Say) -> Reference:
        """Train the oracle, those of the known deviations, and float32 copies."""
        workload = self.workload
        weights = initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=seed)
        with interruptible():
            return measure_in_process(
                EnvelopeRequest(
                    weights=self._save(f"weights-{seed}", weights),
                    train=self._save("train", self.split.train),
                    test=self._save("test", self.split.test.take(slice(0, MOST_STORED))),
                    batch_size=workload.batch_size,
                    epochs=workload.epochs,
                    learning_rate=workload.learning_rate,
                    seed=seed,
                    output=str(self.folder / f"reference-{seed}"),
                    variants=sorted({name for training in judged if (name := known_deviation(training.cell))}),
                    early=_early(judged),
                    threads=self.threads,
                )
            )

    def _save(self, name: str, arrays: Weights | Ratings) -> str:
        path = self.folder / f"{name}.npz"
        np.savez(path, **vars(arrays))
        return str(path)


@dataclass(frozen=True)
class BackendTrainer:
    """Trains the references of a custom workload, on the backends themselves.

    Attributes:
        side: side whose runs are judged; its jobs train the references.
        described: the workload.
        folder: for files that are of no use afterwards.
    """

    side: Side
    described: Described
    folder: Path

    @property
    def rules(self) -> BackendRules:
        """Rules of a custom workload."""
        return BackendRules(tables=self.described.tables, units=self.described.traced)

    def train(self, place: Place | None, seed: int, judged: Sequence[Trajectory], say: Say) -> Reference | None:
        """Train the float64 oracle, or a float32 run in its place, and the copies."""
        if place is None:
            raise TypeError("an oracle of a custom workload has a place")
        job = self.side.make_job(Cell(backend=place.backend, device=place.device, loop=place.loop), seed)
        job = replace(
            job,
            early_stages=_early(judged),
            compile_cache=None,
            predictions=str((self.folder / "reference.npz").absolute()),
            custom=None if job.custom is None else replace(job.custom, tests_epochs=False),
        )
        exact = plain = None
        try:
            copies = self._trainings(job, range(COPIES))
            try:
                (exact,) = self._trainings(replace(job, precision="float64"), [None])
            except WorkerLostError as error:
                say(f"{place}: no oracle in float64, so that only pairs of cells are judged: {error.error}")
                (plain,) = self._trainings(job, [None])
        except WorkerLostError as error:
            say(f"{place}: its parity is not judged, since its copies could not be trained: {error.error}")
            return None
        counts = {"training": self.described.num_train, "test": self.described.num_test}
        examples = {f"{part} {self.described.metric}": count for part, count in counts.items()}
        return reference_of(exact, plain, copies, examples)

    def _trainings(self, job: Job, copies: Iterable[int | None]) -> list[Values]:
        """Have one worker train again and again, and return the values of each training.

        Raises:
            WorkerLostError: the worker cannot go on, or what it left cannot be read.
        """
        what = "oracle" if job.precision == "float64" else "copies"
        found = []
        try:
            with self.side.start(job, log_name(job.backend, job.device, f"{job.loop}-{what}", job.process)) as worker:
                worker.ask(job, Ready)
                for copy in copies:
                    worker.ask(Train(copy=copy), Trained)
                    found.append(load_arrays(Path(job.predictions)))
        except BenchError as error:
            raise WorkerLostError("failed", str(error)) from error
        return found


def stored_part(split: Split) -> TestPart:
    """Return the part of the test part whose predictions are stored."""
    test = split.test.take(slice(0, MOST_STORED))
    return TestPart.of(test.user_id, test.label)


def _early(judged: Iterable[Trajectory]) -> bool:
    """Return whether a training recorded its first steps, so that the oracle is to record them too."""
    return any(BIAS_TRACE in training.values for training in judged)
