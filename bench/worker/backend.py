"""Load one backend, keep it to its threads and precision, and hide the others."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import sys
from pathlib import Path

from bench.errors import UnavailableError
from bench.schema.cell import FULL
from bench.system.child import hide
from bench.system.environment import hidden_modules
from bench.system.probing import allowed_cpus, text_of
from movierank.backends import extra_of
from movierank.install_hint import install_hint


def dtype_policy(precision: str) -> str:
    """Return Keras's name of the dtype policy; to Keras tf32 is float32, since only matrix products differ."""
    return FULL if precision == "tf32" else precision


def import_backend(backend: str, device: str, threads: int) -> tuple[str, int | None]:
    """Import Keras with one backend, hide the others, and return the device's name and the threads in use.

    Raises:
        UnavailableError: the backend is not installed, or does not see the device.
    """
    _keep_to_threads(threads)
    hide(hidden_modules(backend))
    for package in ("keras", backend):
        if importlib.util.find_spec(package) is None:
            raise UnavailableError(f"{package} is not installed: {install_hint(extra_of(backend), for_report=True)}")
    import keras  # noqa: F401  # its first import fixes the backend

    from bench.worker.frameworks import adapter_for

    used: tuple[str, int | None] = adapter_for(backend).configure(device, threads)
    return used


def set_precision(backend: str, precision: str) -> None:
    """Set the arithmetic of everything that is built and compiled from now on.

    Raises:
        UnavailableError: the device has no such arithmetic.
    """
    import keras

    from bench.worker.frameworks import adapter_for

    exact = precision == "float64"
    adapter_for(backend).set_precision("float32" if exact else precision)
    # The type of loss and metrics; like the policy, it may be another in a user's keras.json.
    keras.config.set_floatx("float64" if exact else "float32")
    keras.config.set_dtype_policy(dtype_policy(precision))


def peak_rss_mib() -> float:
    """Return the most memory that this process has held since it started, in MiB."""
    # On Linux, getrusage also counts what the process that started this one had in memory (exec keeps the mark).
    if mark := re.search(r"^VmHWM:\s*(\d+) kB$", text_of(Path("/proc/self/status")), re.MULTILINE):
        return int(mark[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB elsewhere (getrusage(2))


def _keep_to_threads(threads: int) -> None:
    """Give up the cores beyond the number of threads: some thread pools count cores and read no variables."""
    if hasattr(os, "sched_setaffinity") and threads < len(allowed := allowed_cpus()):
        os.sched_setaffinity(0, allowed[:threads])
