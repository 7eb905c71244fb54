"""The built-in workload as it is measured: its data, its jobs and its oracle in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError
from bench.measure.copies import measure_cell_envelopes
from bench.measure.options import Options
from bench.measure.plan import Side
from bench.measure.recorder import Recorder
from bench.measure.subject import Say, Subject
from bench.parity.distances import TestPart
from bench.parity.numpy_oracle import Task
from bench.parity.numpy_process import measure_in_process, request_of
from bench.parity.rules import NumpyRules
from bench.parity.stages import BIAS_TRACE
from bench.parity.trainings import Parity, Place, Reference, Trajectory, known_deviation
from bench.report.predictions import MOST_STORED
from bench.report.time_to_target import time_to_rmse
from bench.schema.derived import TimeToTarget
from bench.schema.run import Workload
from bench.system.interrupts import interruptible
from movierank.data.datasets import load_dataset
from movierank.data.splits import Split, default_split, split_ratings
from movierank.errors import MovierankError
from movierank.weights import initial_weights


@dataclass(frozen=True, kw_only=True)
class RankingSubject(Subject):
    """The built-in workload.

    Attributes:
        split: split of the ratings.
    """

    split: Split

    @classmethod
    def load(cls, options: Options, console: Console) -> RankingSubject:
        """Open the dataset, after preparing it where it is not yet, and split it.

        Raises:
            BenchError: there is no such data or split, or a batch is larger than the train part.
        """
        try:
            dataset = load_dataset(
                options.dataset, source=options.data_source, path=options.data_path, progress=console.print
            )
            split = split_ratings(dataset, options.split or default_split(options.dataset))
        except MovierankError as error:
            raise BenchError(str(error)) from error
        if options.batch_size > len(split.train):
            raise BenchError(
                f"--batch-size {options.batch_size} is larger than the train part ({len(split.train):,} ratings)"
            )
        record = Workload(
            dataset=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256,
            split=split.name,
            num_users=dataset.num_users,
            num_movies=dataset.num_movies,
            num_train=len(split.train),
            num_test=len(split.test),
            batch_size=options.batch_size,
            epochs=options.epochs,
            embedding_dimension=options.embedding_dimension,
            learning_rate=options.learning_rate,
            init=options.init,
        )
        return cls(options=options, record=record, split=split)

    @property
    def rules(self) -> NumpyRules:
        """Rules of the built-in workload."""
        return NumpyRules(test=TestPart.stored(self.split), epochs=self.record.epochs)

    def judge(self, side: Side, folder: Path, say: Say) -> Parity:
        """Train permuted copies of each cell's trainings where they are asked for, then judge."""
        if self.options.envelope == "backend":
            measure_cell_envelopes(side, TestPart.stored(self.split), self.options.copies, folder, say)
        return super().judge(side, folder, say)

    def train_reference(
        self, place: Place | None, seed: int, judged: Sequence[Trajectory], side: Side, folder: Path, say: Say
    ) -> Reference:
        """Train the NumPy oracle, those of the known deviations, and float32 copies, in a process of their own."""
        record, split = self.record, self.split
        task = Task(
            weights=initial_weights(record.num_users, record.num_movies, record.embedding_dimension, seed=seed),
            train=split.train,
            test=split.test.take(slice(0, MOST_STORED)),
            batch_size=record.batch_size,
            epochs=record.epochs,
            learning_rate=record.learning_rate,
            early=any(BIAS_TRACE in training.values for training in judged),
        )
        known = sorted({name for training in judged if (name := known_deviation(training.cell))})
        with interruptible():
            return measure_in_process(
                request_of(task, folder, "oracle", seed=seed, variants=known, threads=self.options.threads)
            )

    def time_to_target(self, recorder: Recorder) -> list[TimeToTarget]:
        """Return how long each cell trains until its test RMSE is at the target or below."""
        target = self.options.target_rmse
        return time_to_rmse(recorder.runs, recorder.arrays, self.record, self.split, target)
