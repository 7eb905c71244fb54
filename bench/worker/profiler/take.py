"""Trace some training steps in a worker with its framework's profiler, after everything that is timed."""

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

MOST_STEPS = 80  # an epoch of MovieLens 100K; a few MiB of events where a step has many operations


class Mark(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A callback that marks the epoch in the trace, from where a round starts its clock to where it stops it.

    Args:
        mark: function that returns a context which marks a stretch of time in the trace.
        synchronise: function that returns when the device has done all its work.
    """

    def __init__(self, mark: Callable[[str], AbstractContextManager[Any]], synchronise: Callable[[], None]) -> None:
        super().__init__()
        self._mark = mark
        self._open = contextlib.ExitStack()
        self._synchronise = synchronise

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin the mark."""
        self._synchronise()
        self._open.enter_context(self._mark(ROUND))  # a mark made before the profiler started would not be seen

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """End the mark."""
        self._synchronise()
        self._open.close()


def take_profile(session: Session, target: Path, file: str) -> Profile:
    """Train an epoch of few steps under the profiler, write the trace to `target`, and return its summary.

    Args:
        session: session whose rounds are done; its model is trained further.
        target: file (.json.gz) for the trace.
        file: path of the trace in the report.

    Raises:
        BenchError: the trace cannot be written.
        ValueError: the profiler did not see the steps or any operation.
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
        train([])  # compiles for this many steps, which is not part of the traced ones
        mark = Mark(profiler.mark, session.adapter.synchronise)
        spans = profiler.record(lambda: train([mark]), Path(folder), session.model)
    cell = Cell(backend=job.backend, device=job.device, loop=job.loop)
    about = {"cell": str(cell), "process": str(job.process), "dataset": job.dataset, "batch_size": str(job.batch_size)}
    write_trace(Trace(spans, steps, about), target)
    return summarise_trace(read_trace(target), cell, job.process, file)
