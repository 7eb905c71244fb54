"""What the harness must ask of a framework itself; each module is imported only by a worker for that backend."""

from __future__ import annotations

import importlib
from types import ModuleType


def adapter_for(backend: str) -> ModuleType:
    """Imports and returns the adapter of `backend`.

    An adapter has `configure(device, threads)`, which returns the device's name and the threads in use and
    raises `UnavailableError` where the device is not to be had, `synchronise()`, which returns when all
    submitted work is done, `peak_device_mib()`, and
    `loss_and_gradients(model, features, label)`, which returns a compiled model's loss and its gradients by trainable
    variable as dense float32 arrays, without training it.
    """
    return importlib.import_module(f"bench.frameworks.{backend}_adapter")
