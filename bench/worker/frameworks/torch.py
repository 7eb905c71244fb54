"""The adapter of PyTorch: device, synchronisation, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch

from bench.errors import UnavailableError
from bench.worker.frameworks import require_tf32


def configure(device: str, threads: int) -> tuple[str, int | None]:
    """Set PyTorch's threads and check that it computes on `device`.

    Raises:
        UnavailableError: PyTorch sees no such device.
    """
    torch.set_num_threads(threads)
    if device == "cpu":
        return "cpu", torch.get_num_threads()
    if not torch.cuda.is_available():
        raise UnavailableError(f"PyTorch {torch.__version__} sees no {device}")
    return torch.cuda.get_device_name(0), torch.get_num_threads()


def set_precision(precision: str) -> None:
    """Set how float32 matrix products are computed; `high` means tf32 on a GPU.

    Raises:
        UnavailableError: tf32 was requested and the device has none.
    """
    if precision == "tf32":
        cuda = torch.cuda.is_available() and torch.version.hip is None
        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "this CPU"
        require_tf32(device, torch.cuda.get_device_capability(0)[0] if cuda else None)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def synchronise() -> None:
    """Wait for all submitted CUDA work; on the CPU an operation is done when its call returns."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_device_mib() -> float | None:
    """Return the peak of device memory in tensors so far, in MiB; None on the CPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None


def loss_and_gradients(model: Any, features: Any, label: Any) -> tuple[float, list[npt.NDArray[np.floating[Any]]]]:
    """Return a compiled model's loss on one batch and its gradients by trainable variable, without training it."""
    model.zero_grad()
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (features, label))
    loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    loss.backward()
    values = [variable.value for variable in model.trainable_variables]
    gradients = [(torch.zeros_like(value) if value.grad is None else value.grad).detach() for value in values]
    found = [
        (gradient if gradient.dtype == torch.float64 else gradient.float()).cpu().numpy() for gradient in gradients
    ]
    model.zero_grad()
    return float(loss), found


def matrix_products(rows: int, inner: int, columns: int, dtype: str) -> list[Callable[[], Any]]:
    """Return products of two matrices of ones, to call and time."""
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), "device": _device()}
    a, b = torch.ones(rows, inner, **options), torch.ones(inner, columns, **options)
    product = torch.empty(rows, columns, **options)
    return [lambda: torch.mm(a, b, out=product)]


def memory_pass(count: int) -> Callable[[], Any]:
    """Return a function that reads and writes `count` float32 numbers in place."""
    array = torch.zeros(count, device=_device())
    return lambda: array.add_(1)


def smallest_launch() -> Callable[[], Any]:
    """Return the least possible work, to call and time."""
    one = torch.ones((), device=_device())
    return lambda: one.add_(1)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
