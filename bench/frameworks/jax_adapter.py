"""JAX: device, synchronisation, memory."""

from __future__ import annotations

import jax

from bench.errors import UnavailableError


def configure(device: str, threads: int) -> tuple[str, int | None]:
    """Checks that JAX computes on `device`; its threads are set through the environment and cannot be read back.

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


def synchronise() -> None:
    """Waits for every live array, hence for every computation submitted so far."""
    jax.block_until_ready(jax.live_arrays())


def peak_device_mib() -> float | None:
    """Returns the most device memory in use so far, in MiB; None on the CPU."""
    statistics = jax.devices()[0].memory_stats()
    if not statistics or "peak_bytes_in_use" not in statistics:
        return None
    return float(statistics["peak_bytes_in_use"]) / 2**20
