"""The rounding envelope of a cell itself: permuted copies of its trainings, trained by a worker of its own.

After the measurement each cell trains `Options.copies` copies (`bench.worker.workloads.ranking`) of its training from
each seed, one after the other in one worker: its start costs more than a copy. Only their distances are kept, which are
stored as soon as a worker has finished; a measurement that is cut off goes on with the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bench.measure.plan import Side
from bench.measure.process import WorkerLostError
from bench.measure.recorder import Recorder
from bench.measure.references import stored_part
from bench.parity.distances import TestPart, Training
from bench.parity.numpy_oracle import envelope_between
from bench.parity.stages import BIAS_TRACE
from bench.schema.cell import Cell
from bench.schema.messages import Job, Ready, Stop, Stopped, Train, Trained, log_name
from bench.schema.parity import CellEnvelope, StageEnvelope
from bench.schema.run import Workload
from movierank.data.splits import Split
from movierank.weights import Weights, initial_weights


@dataclass(frozen=True)
class Copy:
    """What a permuted copy left behind.

    Attributes:
        stages: `.npz` file of its values by stage.
        train_rmse: one an epoch.
    """

    stages: Path
    train_rmse: list[float]


def measure_cell_envelopes(side: Side, split: Split, copies: int, folder: Path, say: Callable[[str], None]) -> None:
    """Trains the copies that are missing, and stores what they show in the side's report.

    A worker that is lost takes the envelope of its cell and seed with it, which are then judged by the oracle's.

    Args:
        side: whose finished trainings are to have an envelope.
        split: that they trained on.
        copies: of each cell and seed, at least 3.
        folder: for files that are of no use afterwards.
        say: is told in a sentence what takes time or was lost.

    Raises:
        BenchError: the report cannot be written.
        KeyboardInterrupt: passed on; no worker is left, and what is finished is stored.
    """
    missing = _missing(side.recorder, copies)
    part = stored_part(split)
    for place, (cell, seed) in enumerate(missing, start=1):
        who = f"{side.called(cell)}, seed {seed}"
        say(f"Training {copies} permuted copies of {who} ({place} of {len(missing)})")
        job = replace(side.make_job(cell, seed), predictions=str((folder / "copy.npz").absolute()))
        try:
            trained = _train(side, job, copies, folder)
        except WorkerLostError as lost:
            say(f"{who}: its copies were lost ({lost.status}: {lost.error}); the oracle's judge it")
            continue
        workload = side.recorder.report.workload
        stages = envelope_of_copies(trained, part, workload.epochs, _initial(workload, seed))
        side.recorder.put_envelope(CellEnvelope(cell=str(cell), seed=seed, stages=stages))
        for copy in trained:
            copy.stages.unlink()


def envelope_of_copies(copies: Sequence[Copy], test: TestPart, epochs: int, initial: Weights) -> list[StageEnvelope]:
    """Returns how far every two copies lie apart, of which one stage at a time is in memory.

    Args:
        copies: at least 2.
        test: what their predictions are predictions of.
        epochs: of the training.
        initial: weights that they started from, in the order of the training itself.
    """
    found: list[StageEnvelope] = []
    with contextlib.ExitStack() as opened:
        stored = [opened.enter_context(np.load(copy.stages)) for copy in copies]
        for stage in stored[0].files:
            if stage == BIAS_TRACE:
                continue
            values = [{stage: arrays[stage]} for arrays in stored]
            if stage == f"epoch {epochs}":
                for of_copy, copy in zip(values, copies, strict=True):
                    of_copy["training rmse"] = np.array(copy.train_rmse)
            found += envelope_between([Training.of(of_copy, test, epochs) for of_copy in values], initial)
    return found


def _missing(recorder: Recorder, copies: int) -> list[tuple[Cell, int]]:
    """Returns the cells and seeds with a finished training and without an envelope of so many copies."""
    stored = {(e.cell, e.seed) for e in recorder.report.own_envelopes if e.copies == copies}
    trained = dict.fromkeys((run.cell, run.seed) for run in recorder.runs if run.test_rmse is not None)
    return [(cell, seed) for cell, seed in trained if (str(cell), seed) not in stored]


def _train(side: Side, job: Job, copies: int, folder: Path) -> list[Copy]:
    name = log_name(job.backend, job.device, job.loop, job.process)
    with side.start(job, name.with_stem(f"{name.stem}-copies")) as worker:
        worker.ask(job, Ready)
        trained = []
        for number in range(copies):
            train_rmse = worker.ask(Train(copy=number), Trained).train_rmse
            trained.append(Copy(Path(job.predictions).replace(folder / f"copy-{number}.npz"), train_rmse))
        worker.ask(Stop(), Stopped)
    return trained


def _initial(workload: Workload, seed: int) -> Weights:
    return initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=seed)
