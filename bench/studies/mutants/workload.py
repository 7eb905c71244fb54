"""What trainings with and without a planted fault share, and the requests of their processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.parity.numpy_oracle import Task
from bench.parity.numpy_process import EnvelopeRequest, request_of
from bench.parity.trainings import known_deviation
from bench.report.predictions import MOST_STORED
from bench.schema.cell import Cell
from bench.schema.messages import Job
from movierank.data.ratings import Dataset, Ratings
from movierank.data.splits import Split
from movierank.weights import initial_weights

DIMENSION = 32

ReferenceKey = tuple[int, int]  # seed of the initial weights, batch size


@dataclass(frozen=True)
class Workload:
    """What all trainings share.

    Attributes:
        backend: backend that trains, on the CPU.
        dataset: dataset that is trained on, prepared before.
        split: split of the dataset.
        epochs: passes over the train part.
        learning_rate: Adagrad's.
        threads: CPU threads of a worker.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
        folder: for files that are of no use afterwards.
    """

    backend: str
    dataset: Dataset
    split: Split
    epochs: int
    learning_rate: float
    threads: int
    timeout_s: float
    worker_command: Sequence[str]
    folder: Path

    @property
    def cell(self) -> Cell:
        """The cell that trains."""
        return Cell(backend=self.backend, device="cpu", loop="fit")

    @property
    def test(self) -> Ratings:
        """The part of the test part that is predicted at every stage."""
        return self.split.test.take(slice(0, MOST_STORED))

    def reference_request(self, key: ReferenceKey) -> EnvelopeRequest:
        """Return the request to the reference's process, and write the files that it reads."""
        seed, batch_size = key
        known = known_deviation(self.cell)
        weights = initial_weights(self.dataset.num_users, self.dataset.num_movies, DIMENSION, seed=seed)
        task = Task(weights, self.split.train, self.test, batch_size, self.epochs, self.learning_rate)
        variants = [known] if known else []
        # Several references are measured at a time.
        return request_of(task, self.folder, f"{seed}-{batch_size}", seed=seed, variants=variants, threads=1)

    def job(self, key: ReferenceKey, fault: str | None, predictions: Path) -> Job:
        """Return the job of a worker."""
        return Job(
            backend=self.backend,
            device="cpu",
            seed=key[0],
            threads=self.threads,
            dataset=self.dataset.name,
            sha256=self.dataset.sha256,
            split=self.split.name,
            batch_size=key[1],
            epochs=self.epochs,
            embedding_dimension=DIMENSION,
            learning_rate=self.learning_rate,
            round_s=1.0,
            predictions=str(predictions),
            stored_predictions=MOST_STORED,
            early_stages=True,
            fault=fault,
        )
