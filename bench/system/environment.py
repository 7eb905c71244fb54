"""The environment of a worker process: one backend, one device, a fixed number of threads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bench.system.compile_cache import without_cache
from bench.system.control_groups import Limits, read_limits
from bench.system.probing import allowed_cpus, attempt

# OpenMP and BLAS read these once, when their library is loaded, so they must be set before the process starts.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",  # XLA's CPU client sizes its thread pool by it (xla/pjrt/cpu)
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

# These are set below for the measured device.
DEVICE_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "JAX_PLATFORMS",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "TF_FORCE_GPU_ALLOW_GROWTH",
)

# These change float32's arithmetic without the framework's settings, so a cell would not be what its name says: they
# let cuBLAS and PyTorch use tf32, and oneDNN compute float32 in bfloat16.
ARITHMETIC_VARIABLES = (
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "TF_SET_ONEDNN_FPMATH_MODE",
)


def gpu_index(device: str) -> int:
    """Return N of `gpu:N`, 0 for `gpu`."""
    return int(device.partition(":")[2] or 0)


def usable_cores() -> int:
    """Return how many threads of this process can run at once: its CPU affinity, cut to its CPU quota."""
    return attempt(read_limits, Limits(None, None)).whole_cores(len(allowed_cpus()))


def worker_environment(
    backend: str, device: str, threads: int, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables of a worker for `backend` on `device` with `threads` CPU threads.

    The user's variables for a framework stay, except those that would change the cell (the backend, the device, the
    number of threads and the arithmetic) and those of caches of compiled code, which would change its first step.
    """
    return {**shared_environment(device, threads, inherited), "KERAS_BACKEND": backend}


def shared_environment(device: str, threads: int, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that workers of all backends on `device` share; arguments as for `worker_environment`."""
    kept = without_cache(inherited)
    not_kept = ("KERAS_BACKEND", *ARITHMETIC_VARIABLES)
    environment = {name: value for name, value in kept.items() if name not in not_kept}
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    environment["PYTHONUNBUFFERED"] = "1"
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
        environment["JAX_PLATFORMS"] = "cpu"
    else:
        environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        environment["CUDA_VISIBLE_DEVICES"] = _visible_gpu(device, inherited.get("CUDA_VISIBLE_DEVICES"))
        environment["JAX_PLATFORMS"] = "cuda,cpu"
        # Otherwise JAX takes three quarters of the memory at once and its peak says nothing about the model.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    return environment


def _visible_gpu(device: str, allowed: str | None) -> str:
    """Return the one GPU for `device`: the Nth of those that the user or a job scheduler allows, if they name any."""
    index = gpu_index(device)
    if allowed is None:
        return str(index)
    gpus = [gpu.strip() for gpu in allowed.split(",") if gpu.strip()]
    return gpus[index] if index < len(gpus) else ""


def hidden_modules(backend: str) -> tuple[str, ...]:
    """Return the modules that a worker for `backend` must not be able to import."""
    return tuple(name for name in ("jax", "torch", "tensorflow", "tensorflow_datasets") if name != backend)
