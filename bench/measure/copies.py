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
from bench.parity.distances import TestPart, Training
from bench.parity.numpy_oracle import envelope_between
from bench.parity.stages import BIAS_TRACE
from bench.schema.cell import Cell
from bench.schema.messages import Trained
from bench.schema.parity import CellEnvelope, StageEnvelope
from movierank.weights import Weights, initial_weights


@dataclass(frozen=True)
class Copy:
    """What a permuted copy left behind.

    Attributes:
        stages: `.npz` file of its values by stage.
        train_rmse: training RMSE of each epoch.
    """

    stages: Path
    train_rmse: list[float]


def measure_cell_envelopes(side: Side, test: TestPart, copies: int, folder: Path, say: Callable[[str], None]) -> None:
    """Train the copies that are missing, and store their distances in the side's report.

    A worker that is lost takes the envelope of its cell and seed with it, which are then judged by the oracle's.

    Args:
        side: side whose finished trainings are to have an envelope.
        test: what the stored predictions are predictions of.
        copies: number of copies of each cell and seed, at least 3.
        folder: for files that are of no use afterwards.
        say: called with a line before what takes time, and on what was lost.

    Raises:
        BenchError: the report cannot be written.
        KeyboardInterrupt: passed on; no worker is left, and what is finished is stored.
    """

    def kept(number: int | None, reply: Trained) -> Copy:
        return Copy(Path(job.predictions).replace(folder / f"copy-{number}.npz"), reply.train_rmse)

    missing, workload = _missing(side.recorder, copies), side.recorder.report.workload
    for place, (cell, seed) in enumerate(missing, start=1):
        who = f"{side.called(cell)}, seed {seed}"
        say(f"Training {copies} permuted copies of {who} ({place} of {len(missing)})")
        job = replace(side.make_job(cell, seed), predictions=str((folder / "copy.npz").absolute()))
        try:
            trained = side.train(job, "copies", range(copies), kept)
        except WorkerLostError as lost:
            say(f"{who}: its copies were lost ({lost.status}: {lost.error}); the oracle's judge it")
            continue
        initial = initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=seed)
        stages = _envelope_of(trained, test, workload.epochs, initial)
        side.recorder.put_envelope(CellEnvelope(cell=str(cell), seed=seed, stages=stages))
        for copy in trained:
            copy.stages.unlink()


def _envelope_of(copies: Sequence[Copy], test: TestPart, epochs: int, initial: Weights) -> list[StageEnvelope]:
    """Return how far every two copies lie apart; one stage at a time is in memory."""
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
    """Return the cells and seeds with a finished training and without an envelope of so many copies."""
    stored = {(e.cell, e.seed) for e in recorder.report.own_envelopes if e.copies == copies}
    trained = dict.fromkeys((run.cell, run.seed) for run in recorder.runs if run.test_rmse is not None)
    return [(cell, seed) for cell, seed in trained if (str(cell), seed) not in stored]
