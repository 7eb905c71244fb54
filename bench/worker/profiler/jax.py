"""The profiler of JAX."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax

from bench.worker.profiler.trace import Span
from bench.worker.profiler.xplane import read_space
from bench.worker.profiler.xplane_spans import spans_of


def prepared(model: Any) -> AbstractContextManager[None]:
    """Do nothing: the program is traced as it was compiled."""
    return nullcontext()


def mark(name: str) -> AbstractContextManager[Any]:
    """Return a context that marks a stretch of time in the trace."""
    annotation: AbstractContextManager[Any] = jax.profiler.TraceAnnotation(name)
    return annotation


def record(train: Callable[[], None], folder: Path, model: Any) -> list[Span]:
    """Call `train` under the profiler and return its events, without Python's calls, which cost most to trace."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(str(folder), profiler_options=options):
        train()
    (file,) = folder.rglob("*.xplane.pb")
    return spans_of(read_space(file.read_bytes()), model.optimizer.name)
