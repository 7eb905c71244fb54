"""The profiler of PyTorch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from bench.worker.profiler.torch_spans import OPTIMIZER, spans_of
from bench.worker.profiler.trace import Span
from movierank.loops.torch import fused as fused_torch
from movierank.loops.torch import native as native_torch


@contextlib.contextmanager
def prepared(model: Any) -> Iterator[None]:
    """Let the loops compile again, so that the profiler sees the name of each kernel that Inductor makes for a CPU.

    Raises:
        RuntimeError: this PyTorch has no such option.
    """
    # This option is private and has no public form. Without it all kernels of a compiled step are one nameless event.
    from torch._inductor import config

    if not hasattr(config.cpp, "enable_kernel_profile"):
        raise RuntimeError(f"Inductor of PyTorch {torch.__version__} does not name its kernels to the profiler")
    with config.patch({"cpp.enable_kernel_profile": True}):
        _forget(model)
        yield
    _forget(model)


def mark(name: str) -> AbstractContextManager[Any]:
    """Return a context that marks a stretch of time in the trace."""
    annotation: AbstractContextManager[Any] = torch.profiler.record_function(name)
    return annotation


def record(train: Callable[[], None], folder: Path, model: Any) -> list[Span]:
    """Call `train` under the profiler and return its events."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with _marking_optimizer(model), torch.profiler.profile(activities=activities) as profiler:
        train()
    file = folder / "trace.json"
    profiler.export_chrome_trace(str(file))
    return spans_of(json.loads(file.read_bytes()))


@contextlib.contextmanager
def _marking_optimizer(model: Any) -> Iterator[None]:
    """Mark the optimizer's calls: in eager PyTorch its operations look like any others."""
    apply = model.optimizer.apply

    def marked(*arguments: Any, **options: Any) -> Any:
        with torch.profiler.record_function(OPTIMIZER):
            return apply(*arguments, **options)

    model.optimizer.apply = marked
    try:
        yield
    finally:
        del model.optimizer.apply


def _forget(model: Any) -> None:
    fused_torch.forget(model)
    native_torch.forget(model)
