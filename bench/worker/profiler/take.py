"""Trace some training steps in a worker with its framework's profiler, after everything that is timed."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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
    examples = session.split.train.take(slice(0, steps * job.batch_size))

    mark = contextlib.ExitStack()

    def begin(epoch: int, logs: training.Logs | None = None) -> None:
        session.adapter.synchronise()
        mark.enter_context(profiler.mark(ROUND))  # a mark made before the profiler started would not be seen

    def end(epoch: int, logs: training.Logs | None = None) -> None:
        session.adapter.synchronise()
        mark.close()

    def train(*callbacks: keras.callbacks.Callback) -> None:
        session.fit(examples, epochs=1, callbacks=callbacks)
        session.adapter.synchronise()

    with profiler.prepared(session.model), tempfile.TemporaryDirectory() as folder:
        train()  # compiles for this many steps, which is not part of the traced ones
        marking = keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
        spans = profiler.record(lambda: train(marking), Path(folder), session.model)
    cell = Cell(backend=job.backend, device=job.device, loop=job.loop)
    about = {"cell": str(cell), "process": str(job.process), "dataset": job.dataset, "batch_size": str(job.batch_size)}
    write_trace(Trace(spans, steps, about), target)
    return summarise_trace(read_trace(target), cell, job.process, file)
