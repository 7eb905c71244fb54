from __future__ import annotations

import subprocess
import sys

import pytest

from bench.system.environment import THREAD_VARIABLES, gpu_index, hidden_modules, usable_cores, worker_environment


def test_a_cpu_worker_has_its_backend_its_threads_and_no_gpu() -> None:
    inherited = {
        "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": "64",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "JAX_PLATFORMS": "cuda",
    }
    environment = worker_environment("jax", "cpu", 3, inherited)
    assert environment["KERAS_BACKEND"] == "jax"
    assert {environment[name] for name in THREAD_VARIABLES} == {"3"}
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["JAX_PLATFORMS"]) == ("", "cpu")


def test_what_the_user_set_for_a_framework_stays() -> None:
    inherited = {
        "PATH": "/bin",
        "XLA_FLAGS": "--xla_dump_to=x",
        "TF_CPP_MIN_LOG_LEVEL": "0",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
    environment = worker_environment("tensorflow", "cpu", 2, inherited)
    assert inherited.items() <= environment.items()
    assert inherited == {
        "PATH": "/bin",
        "XLA_FLAGS": "--xla_dump_to=x",
        "TF_CPP_MIN_LOG_LEVEL": "0",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }


@pytest.mark.parametrize(
    ("device", "allowed", "visible"),
    [
        ("gpu", None, "0"),
        ("gpu:2", None, "2"),
        ("gpu", "3", "3"),
        ("gpu:1", "5, 7", "7"),
        ("gpu:1", "GPU-8932f937,GPU-0f2a", "GPU-0f2a"),
        ("gpu:1", "3", ""),  # a job scheduler gave one GPU: another one is not to be had
        ("gpu", "", ""),
    ],
)
def test_a_gpu_worker_sees_the_one_gpu_that_is_meant_among_those_allowed(
    device: str, allowed: str | None, visible: str
) -> None:
    inherited = {} if allowed is None else {"CUDA_VISIBLE_DEVICES": allowed}
    environment = worker_environment("torch", device, 2, inherited)
    assert environment["CUDA_VISIBLE_DEVICES"] == visible
    assert environment["JAX_PLATFORMS"] == "cuda,cpu"


def test_a_gpu_worker_does_not_take_all_gpu_memory_at_once() -> None:
    environment = worker_environment("jax", "gpu", 2, {})
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_a_gpu_without_a_number_is_the_first() -> None:
    assert [gpu_index(device) for device in ("gpu", "gpu:0", "gpu:11")] == [0, 0, 11]


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_the_other_frameworks_are_hidden_and_the_own_one_is_not(backend: str) -> None:
    hidden = hidden_modules(backend)
    assert backend not in hidden
    assert {"jax", "torch", "tensorflow", "tensorflow_datasets"} - {backend} == set(hidden)


def test_cores_that_the_scheduler_withholds_are_not_counted() -> None:
    pinned = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{pinned}; from bench.system.environment import usable_cores"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(usable_cores())"], capture_output=True, text=True, check=False
    )
    if "has no attribute 'sched_setaffinity'" in done.stderr:
        pytest.skip("this system cannot pin a process")
    assert done.stdout == "1\n", done.stderr
    assert usable_cores() >= 1
