"""The adapter of JAX: device, synchronisation, memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bench.errors import UnavailableError
from bench.worker.frameworks import require_tf32
from bench.worker.frameworks.jax_products import product_operations


def configure(device: str, threads: int) -> tuple[str, int | None]:
    """Check that JAX computes on `device`. Its threads are set through the environment and cannot be read back.

    Raises:
        UnavailableError: JAX sees no such device.
    """
    try:
        found = jax.devices()[0]
    except RuntimeError as error:
        raise UnavailableError(f"JAX cannot start: {str(error).splitlines()[0]}") from error
    if (found.platform == "gpu") != (device != "cpu"):
        raise UnavailableError(f"JAX {jax.__version__} sees no {device}, only {found.platform}")
    return found.device_kind, None


def set_precision(precision: str) -> None:
    """Set how float32 matrix products are computed. By default XLA uses tf32 for them on a GPU that has it.

    Raises:
        UnavailableError: tf32 was requested and the device has none.
    """
    device = jax.devices()[0]
    if precision == "tf32":
        name = "this CPU" if device.platform == "cpu" else device.device_kind
        major = str(getattr(device, "compute_capability", "")).partition(".")[0]  # such as 9.0, or gfx942 on ROCm
        require_tf32(name, int(major) if major.isdecimal() else None)
    gpu_modes = {"float32": "highest", "tf32": "tensorfloat32"}  # with Keras in bfloat16 no float32 product is left
    jax.config.update("jax_default_matmul_precision", gpu_modes.get(precision) if device.platform == "gpu" else None)


def synchronise() -> None:
    """Wait for every live array, hence for every computation submitted so far."""
    jax.block_until_ready(jax.live_arrays())


def peak_device_mib() -> float | None:
    """Return the peak of device memory so far, in MiB; None on the CPU."""
    statistics = jax.devices()[0].memory_stats()
    if not statistics or "peak_bytes_in_use" not in statistics:
        return None
    return float(statistics["peak_bytes_in_use"]) / 2**20


def loss_and_gradients(model: Any, features: Any, label: Any) -> tuple[float, list[npt.NDArray[np.floating[Any]]]]:
    """Return a compiled model's loss on one batch and its gradients by trainable variable, without training it."""
    compiled = jax.jit(jax.value_and_grad(_loss_of(model, features, label)))
    loss, gradients = compiled([variable.value for variable in model.trainable_variables])
    return float(loss), [np.asarray(gradient) for gradient in gradients]


def step_operations(model: Any, features: Any, label: Any) -> int | None:
    """Return the operations of the matrix products in loss and gradients of one batch, as `product_operations` does."""
    traced = jax.make_jaxpr(jax.value_and_grad(_loss_of(model, features, label)))
    return product_operations(traced([variable.value for variable in model.trainable_variables]).jaxpr)


def _loss_of(model: Any, features: Any, label: Any) -> Callable[[list[Any]], Any]:
    """Return the loss as a function of the values of the trainable variables."""
    fixed = [variable.value for variable in model.non_trainable_variables]
    # `stateless_call` passes its arguments on, though a model may not have such an argument.
    mode = {"training": True} if "training" in inspect.signature(model.call).parameters else {}

    def loss_of(trainable: list[Any]) -> Any:
        predictions, _ = model.stateless_call(trainable, fixed, features, **mode)
        return model.compute_loss(x=features, y=label, y_pred=predictions)

    return loss_of


def matrix_products(rows: int, inner: int, columns: int, dtype: str) -> list[Callable[[], Any]]:
    """Return compiled products of two matrices of ones, to call and time."""
    a, b = jnp.ones((rows, inner), dtype), jnp.ones((inner, columns), dtype)
    product = jax.jit(jnp.matmul)
    return [lambda: product(a, b)]


def memory_pass(count: int) -> Callable[[], Any]:
    """Return a function that reads and writes `count` float32 numbers in place."""
    arrays = [jnp.zeros(count, jnp.float32)]
    add = jax.jit(lambda array: array + 1, donate_argnums=0)

    def run() -> None:
        arrays[0] = add(arrays[0])

    return run


def smallest_launch() -> Callable[[], Any]:
    """Return the least possible compiled work, to call and time."""
    one = jnp.ones((), jnp.float32)
    add = jax.jit(lambda number: number + 1)
    return lambda: add(one)
