"""Adapters: what the harness needs from a framework. Only a worker for a backend imports its module."""

from __future__ import annotations

import importlib
from types import ModuleType

from bench.errors import UnavailableError

AMPERE = 8  # the first major compute capability with tf32 (NVIDIA, CUDA C++ Programming Guide)


def adapter_for(backend: str) -> ModuleType:
    """Import and return the adapter of `backend`.

    An adapter has these functions:

    - `configure(device, threads)` returns the device's name and the number of threads in use, and raises
      `UnavailableError` where the device is not available.
    - `set_precision(precision)` sets how float32 matrix products are computed (`bench.schema.cell`), and raises
      `UnavailableError` where the device cannot compute them so.
    - `synchronise()` returns when all submitted work is done.
    - `peak_device_mib()` returns the peak of device memory in MiB.
    - `loss_and_gradients(model, features, label)` returns a compiled model's loss and its gradients by trainable
    variable
      as dense float32 arrays, without training it.

    `bench.worker.limits` calls and times the functions that these return: `matrix_products(rows, inner, columns,
    dtype)`, every way of the framework to multiply [rows, inner] by [inner, columns]; `memory_pass(count)`, which reads
    and writes `count` float32 numbers in place; `smallest_launch()`, the least work that the framework can hand to the
    device.
    """
    return importlib.import_module(f"bench.worker.frameworks.{backend}")


def profiler_for(backend: str) -> ModuleType:
    """Import and return the profiler of `backend`.

    A profiler has `prepared(model)`, a context in which the model compiles its functions so that the profiler can
    distinguish their parts; `mark(name)`, a context that marks a stretch of time; and `record(train, folder, model)`,
    which calls `train()` and returns the events that the profiler saw as `bench.worker.profiler.trace.Span`s. `folder`
    is empty and temporary.
    """
    return importlib.import_module(f"bench.worker.profiler.{backend}")


def require_tf32(device: str, capability: int | None) -> None:
    """Check that a device multiplies matrices in tf32.

    Args:
        device: name of the device.
        capability: major CUDA compute capability; None where it is not a CUDA device.

    Raises:
        UnavailableError: the device has no tf32.
    """
    if capability is None or capability < AMPERE:
        raise UnavailableError(f"{device} has no tf32; NVIDIA GPUs have it from Ampere (compute capability 8.0) on")
