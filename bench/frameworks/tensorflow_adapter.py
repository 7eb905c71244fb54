"""TensorFlow: device, synchronisation, memory."""

from __future__ import annotations

import tensorflow as tf

from bench.errors import UnavailableError


def configure(device: str, threads: int) -> tuple[str, int | None]:
    """Sets TensorFlow's threads and checks that it computes on `device`.

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


def synchronise() -> None:
    """Waits for all work submitted to any device."""
    tf.test.experimental.sync_devices()


def peak_device_mib() -> float | None:
    """Returns the most GPU memory in use so far, in MiB; None on the CPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20
