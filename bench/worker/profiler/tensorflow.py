"""The profiler of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import tensorflow as tf

from bench.worker.profiler.trace import Span
from bench.worker.profiler.xplane import read_space
from bench.worker.profiler.xplane_spans import spans_of


def prepared(model: Any) -> AbstractContextManager[None]:
    """Do nothing: the program is traced as it was compiled."""
    return nullcontext()


def mark(name: str) -> AbstractContextManager[Any]:
    """Return a context that marks a stretch of time in the trace."""
    annotation: AbstractContextManager[Any] = tf.profiler.experimental.Trace(name)
    return annotation


def record(train: Callable[[], None], folder: Path, model: Any) -> list[Span]:
    """Call `train` under the profiler and return its events, without Python's calls, which cost most to trace."""
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0, delay_ms=0)
    tf.profiler.experimental.start(str(folder), options)
    try:
        train()
    finally:
        tf.profiler.experimental.stop()
    (file,) = folder.rglob("*.xplane.pb")
    return spans_of(read_space(file.read_bytes()), model.optimizer.name)
