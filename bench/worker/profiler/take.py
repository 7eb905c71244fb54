"""Trace some training steps in a worker with its framework's own profiler, after everything that is timed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from bench.schema.cell import Cell
from bench.schema.profile import Profile
from bench.worker.frameworks import profiler_for
from bench.worker.profiler.summary import summarise_trace
from bench.worker.profiler.trace import ROUND, Trace, read_trace, write_trace
from movierank import training

if TYPE_CHECKING:
    from bench.worker.session import Session

MOST_STEPS = 80  # an epoch of MovieLens 100K; some MiB of events where a step has many operations


class Mark(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Marks the epoch in the trace, from where a round starts its clock to where it stops it.

    Args:
        mark: returns what marks a stretch of time in the trace.
        synchronise: returns when the device has done all its work.
    """

    def __init__(self, mark: Callable[[str], AbstractContextManager[Any]], synchronise: Callable[[], None]) -> None:
        super().__init__()
        self._mark = mark
        self._open = contextlib.ExitStack()
        self._synchronise = synchronise

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin the mark."""
        self._synchronise()
        self._open.enter_context(self._mark(ROUND))  # made here: one made before the profiler started is not seen

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """End it."""
        self._synchronise()
        self._open.close()


def take_profile(session: Session, target: Path, file: str) -> Profile:
    """Train an epoch of few steps under the profiler, leaves the trace in `target`, and says where the time went.

    Args:
        session: whose rounds are done; its model goes on training.
        target: file (.json.gz) for the trace.
        file: where the report will have it.

    Raises:
        BenchError: the trace cannot be written.
        ValueError: the profiler did not see what it should.
    """
    job = session.job
    profiler = profiler_for(job.backend)
    steps = min(MOST_STEPS, len(session.split.train) // job.batch_size)
    ratings = session.split.train.take(slice(0, steps * job.batch_size))

    def train(callbacks: list[Mark]) -> None:
        training.train(
            session.model,
            ratings.features,
            ratings.label,
            batch_size=job.batch_size,
            epochs=1,
            callbacks=callbacks,
            loop=session.loop,
        )
        session.adapter.synchronise()

    with profiler.prepared(session.model), tempfile.TemporaryDirectory() as folder:
        train([])  # whatever is compiled for this many steps is no part of them
        mark = Mark(profiler.mark, session.adapter.synchronise)
        spans = profiler.record(lambda: train([mark]), Path(folder), session.model)
    cell = Cell(backend=job.backend, device=job.device, loop=job.loop)
    about = {"cell": str(cell), "process": str(job.process), "dataset": job.dataset, "batch_size": str(job.batch_size)}
    write_trace(Trace(spans, steps, about), target)
    return summarise_trace(read_trace(target), cell, job.process, file)
