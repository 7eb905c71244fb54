"""What the harness must ask of a framework itself; each module is imported only by a worker for that backend."""

from __future__ import annotations

import importlib
from types import ModuleType

from bench.errors import UnavailableError

AMPERE = 8  # the first major compute capability with tf32 (NVIDIA, CUDA C++ Programming Guide)


def adapter_for(backend: str) -> ModuleType:
    """Import and return the adapter of `backend`.

    An adapter has `configure(device, threads)`, which returns the device's name and the threads in use and
    raises `UnavailableError` where the device is not to be had, `set_precision(precision)`, which sets how float32
    matrix products are computed (`bench.schema.cell`) and raises the same where the device cannot do so,
    `synchronise()`, which returns when all submitted work is done, `peak_device_mib()`, and
    `loss_and_gradients(model, features, label)`, which returns a compiled model's loss and its gradients by trainable
    variable as dense float32 arrays, without training it.

    For `bench.worker.limits` it gives things to call and time: `matrix_products(rows, inner, columns, dtype)`, each way
    that the framework has to multiply [rows, inner] by [inner, columns]; `memory_pass(count)`, which reads and writes
    `count` float32 numbers in place; `smallest_launch()`, the least work that it can hand to the device.
    """
    return importlib.import_module(f"bench.worker.frameworks.{backend}")


def profiler_for(backend: str) -> ModuleType:
    """Import and return the profiler of `backend`.

    It has `prepared(model)`, a context in which the model compiles what it runs so that the profiler can tell its
    parts; `mark(name)`, a context that marks a stretch of time; and `record(train, folder, model)`, which calls
    `train()` and returns what the profiler saw as `bench.worker.profiler.trace.Span`s. `folder` is empty and passing.
    """
    return importlib.import_module(f"bench.worker.profiler.{backend}")


def require_tf32(device: str, capability: int | None) -> None:
    """Check that a device multiplies matrices in tf32.

    Args:
        device: its name.
        capability: major CUDA compute capability; None where it is no CUDA device.

    Raises:
        UnavailableError: it does not.
    """
    if capability is None or capability < AMPERE:
        raise UnavailableError(f"{device} has no tf32; NVIDIA GPUs have it from Ampere (compute capability 8.0) on")
