"""The adapter of TensorFlow: device, synchronisation, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.errors import UnavailableError
from bench.worker.frameworks import require_tf32


def configure(device: str, threads: int) -> tuple[str, int | None]:
    """Set TensorFlow's threads and check that it computes on `device`.

    Raises:
        UnavailableError: TensorFlow sees no such device.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    used = int(tf.config.threading.get_intra_op_parallelism_threads())
    if device == "cpu":
        return "cpu", used
    found = tf.config.list_physical_devices("GPU")
    if not found:
        raise UnavailableError(f"TensorFlow {tf.__version__} sees no {device}")
    tf.config.experimental.set_memory_growth(found[0], True)
    return str(tf.config.experimental.get_device_details(found[0]).get("device_name", found[0].name)), used


def set_precision(precision: str) -> None:
    """Set how float32 matrix products are computed. By default TensorFlow uses tf32 on a GPU that has it.

    Raises:
        UnavailableError: tf32 was requested and the device has none.
    """
    if precision == "tf32":
        found = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(found[0]) if found else {}
        capability = details.get("compute_capability")  # (major, minor) on CUDA, missing elsewhere
        name = str(details.get("device_name", "this GPU")) if found else "this CPU"
        require_tf32(name, None if capability is None else int(capability[0]))
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")


def synchronise() -> None:
    """Wait for all work submitted to any device."""
    tf.test.experimental.sync_devices()


def peak_device_mib() -> float | None:
    """Return the peak of GPU memory so far, in MiB; None on the CPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20


def loss_and_gradients(model: Any, features: Any, label: Any) -> tuple[float, list[npt.NDArray[np.floating[Any]]]]:
    """Return a compiled model's loss on one batch and its gradients by trainable variable, without training it."""
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (features, label))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    variables = [variable.value for variable in model.trainable_variables]
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # An embedding's gradient is IndexedSlices, one an example; conversion to a tensor sums those of one id.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return float(loss), [(each if each.dtype == tf.float64 else tf.cast(each, tf.float32)).numpy() for each in dense]


def matrix_products(rows: int, inner: int, columns: int, dtype: str) -> list[Callable[[], Any]]:
    """Return products of two matrices of ones, by TensorFlow's own kernel and by XLA, to call and time."""
    a, b = tf.ones((rows, inner), dtype), tf.ones((inner, columns), dtype)
    compiled = tf.function(tf.linalg.matmul, jit_compile=True)
    return [lambda: tf.linalg.matmul(a, b), lambda: compiled(a, b)]


def memory_pass(count: int) -> Callable[[], Any]:
    """Return a function that reads and writes `count` float32 numbers in place."""
    array = tf.Variable(tf.zeros(count))

    def add() -> None:
        array.assign_add(tf.ones(count), read_value=False)

    compiled = tf.function(add, jit_compile=True)  # otherwise the ones would be written to memory first
    return lambda: compiled()


def smallest_launch() -> Callable[[], Any]:
    """Return the least possible compiled work, to call and time."""
    one = tf.ones(())
    add = tf.function(lambda number: number + 1, jit_compile=True)
    return lambda: add(one)
