"""What is measured: the built-in workload, or a custom one (`bench.measure.custom_workload`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError
from bench.measure.copies import measure_cell_envelopes
from bench.measure.options import Options
from bench.measure.plan import Side
from bench.measure.recorder import Recorder
from bench.measure.references import NumpyTrainer, Say, check_parity
from bench.parity.trainings import Parity
from bench.report.predictions import MOST_STORED
from bench.report.time_to_target import time_to_rmse
from bench.schema.cell import Cell, precision_of
from bench.schema.derived import TimeToTarget
from bench.schema.messages import CustomJob, Job
from bench.schema.run import Workload
from movierank.data.datasets import load_dataset
from movierank.data.splits import Split, default_split, split_ratings
from movierank.errors import MovierankError

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

    @abstractmethod
    def judge(self, side: Side, folder: Path, say: Say) -> Parity:
        """Judge the parity of a side's runs.

        Args:
            side: environment whose rounds are all measured.
            folder: for files that are of no use afterwards.
            say: called with a line before what takes time, and on what could not be trained.

        Raises:
            BenchError: a reference cannot be trained, or the report cannot be written.
            KeyboardInterrupt: passed on; no process is left.
        """

    @abstractmethod
    def time_to_target(self, recorder: Recorder) -> list[TimeToTarget]:
        """Return how long each cell trains until its test score is at the target or better."""


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

    def judge(self, side: Side, folder: Path, say: Say) -> Parity:
        """Judge by the NumPy oracle, and where asked for by permuted copies of each cell's trainings."""
        options = self.options
        if options.envelope == "backend":
            measure_cell_envelopes(side, self.split, options.copies, folder, say)
        return check_parity(side.recorder, NumpyTrainer(self.record, self.split, options.threads, folder), say)

    def time_to_target(self, recorder: Recorder) -> list[TimeToTarget]:
        """Return how long each cell trains until its test RMSE is at the target or below."""
        target = self.options.target_rmse
        return time_to_rmse(recorder.runs, recorder.arrays, self.record, self.split, target)
